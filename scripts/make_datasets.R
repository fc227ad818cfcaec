# Write the packaged datasets from the R packages that carry them.
#
#   Rscript scripts/make_datasets.R lmmsparse/datasets/data
#
# Reads DIR/metadata.json for the names of the sets and their packages, writes DIR/<name>.csv.gz, and fills in
# what a machine can know in metadata.json: version of the package, rows, kinds of columns, levels. The texts
# in metadata.json are written by hand and kept.
#
# A factor is stored as codes from 0, its levels in the metadata; levels "1" ... "n" as the number n.
suppressMessages(library(jsonlite))

# The fewest of 15 to 17 digits that read back as the same double.
digits <- function(x) {
  text <- formatC(x, digits = 15, format = "g", width = 1)
  for (more in 16:17) {
    inexact <- as.numeric(text) != x
    text[inexact] <- formatC(x[inexact], digits = more, format = "g", width = 1)
  }
  text
}

is_whole <- function(x) all(x == round(x))

column_facts <- function(column) {
  if (!is.factor(column)) return(list(kind = if (is_whole(column)) "integer" else "number"))
  counted <- identical(levels(column), as.character(seq_len(nlevels(column))))
  list(kind = if (is.ordered(column)) "ordered" else "factor",
       levels = if (counted) nlevels(column) else levels(column))
}

column_text <- function(column) {
  if (is.factor(column)) as.integer(column) - 1L else digits(column)
}

write_set <- function(name, entry, directory) {
  scope <- new.env()
  data(list = name, package = entry$package, envir = scope)
  frame <- scope[[name]]
  stopifnot(!anyNA(frame), setequal(names(frame), names(entry$columns)))
  file <- gzfile(file.path(directory, paste0(name, ".csv.gz")), "wb", compression = 9)
  write.csv(as.data.frame(lapply(frame, column_text)), file, row.names = FALSE, quote = FALSE)
  close(file)
  entry$version <- packageDescription(entry$package)$Version
  entry$rows <- nrow(frame)
  entry$columns <- sapply(names(frame), function(column) {
    c(entry$columns[[column]]["description"], column_facts(frame[[column]]))
  }, simplify = FALSE)
  entry
}

directory <- commandArgs(TRUE)[1]
path <- file.path(directory, "metadata.json")
metadata <- fromJSON(path, simplifyDataFrame = FALSE, simplifyMatrix = FALSE)
metadata <- Map(write_set, names(metadata), metadata, MoreArgs = list(directory = directory))
write(toJSON(metadata, auto_unbox = TRUE, pretty = TRUE), path)
