# The packaged datasets as R frames.

metadata <- fromJSON(file.path(packaged, "metadata.json"),
                     simplifyDataFrame = FALSE, simplifyMatrix = FALSE)

# A dataset with its factors, as lmmsparse's load_dataset() gives it. Ordered factors are made plain ones,
# because lmmsparse gives every factor treatment contrasts unless told otherwise.
factor_frame <- function(name) {
  frame <- read.csv(file.path(packaged, paste0(name, ".csv.gz")))
  for (column in names(frame)) {
    levels <- metadata[[name]]$columns[[column]]$levels
    if (is.null(levels)) next
    if (is.numeric(levels)) levels <- as.character(seq_len(levels))
    frame[[column]] <- factor(levels[frame[[column]] + 1], levels = levels)
  }
  frame
}

# The same data as from a plain CSV file: factors whose labels are all numbers become numbers (service,
# lectage, temperature, ...), the others are sorted by label (so that sex has the levels F, M).
plain_frame <- function(name) {
  frame <- factor_frame(name)
  frame[] <- lapply(frame, function(column) {
    if (is.factor(column)) type.convert(as.character(column), as.is = FALSE) else column
  })
  frame
}
