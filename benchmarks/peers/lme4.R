# Fit one model with R's lme4 in this process: the counterpart of worker.py, with the same output.
#
#   Rscript lme4.R MODEL FOLDER REPEATS BUDGET FORMULA REFITS

say <- function(...) {
  fields <- list(...)
  text <- vapply(fields, function(value) {
    if (is.character(value)) return(encodeString(value, quote = '"'))
    value <- format(value, digits = 15, trim = TRUE)
    value[value %in% c("NA", "NaN")] <- "null"
    paste(value, collapse = ", ")
  }, "")
  text["seconds"] <- if (is.null(fields$seconds)) "[]" else sprintf("[%s]", text["seconds"])
  cat("{", paste0('"', names(text), '": ', text, collapse = ", "), "}\n", sep = "")
  flush(stdout())
}

if (!suppressWarnings(requireNamespace("lme4", quietly = TRUE))) {
  say(status = "missing", reason = "R has no package lme4")
  quit()
}
suppressPackageStartupMessages(library(lme4))
options(warn = -1)

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[2]
repeats <- as.integer(arguments[3])
budget <- as.numeric(arguments[4])
formula <- as.formula(arguments[5])
refits <- as.integer(arguments[6])
blas <- extSoftVersion()[["BLAS"]] # its folder tells which one it is
version <- sprintf("lme4 %s, %s, Matrix %s, BLAS %s", packageVersion("lme4"), R.version$version.string,
                   packageVersion("Matrix"), file.path(basename(dirname(blas)), basename(blas)))

read_column <- function(entry) {
  path <- file.path(folder, entry[["file"]])
  whole <- entry[["type"]] == "int32"
  size <- if (whole) 4L else 8L
  values <- readBin(path, if (whole) "integer" else "double", file.size(path) / size, size, endian = "little")
  if (nzchar(entry[["levels"]])) {
    levels <- readLines(file.path(folder, entry[["levels"]]))
    return(structure(values + 1L, levels = levels, class = "factor"))
  }
  values
}

# grouping factors are made before the clock starts, as a user of R has them
as_factor <- function(values) {
  if (is.factor(values)) return(values)
  levels <- sort(unique(values))
  structure(match(values, levels), levels = as.character(levels), class = "factor")
}

index <- read.delim(file.path(folder, "columns.tsv"), header = FALSE, colClasses = "character",
                    col.names = c("name", "type", "file", "levels"))
data <- lapply(seq_len(nrow(index)), function(i) read_column(index[i, ]))
names(data) <- index$name
for (group in unlist(lapply(findbars(formula), function(bar) all.vars(bar[[3]])))) data[[group]] <- as_factor(data[[group]])
data <- as.data.frame(data)

memory <- function(field) {
  line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
  1024 * as.numeric(gsub("[^0-9]", "", line))
}

if (refits > 0L) {
  responses <- matrix(readBin(file.path(folder, "responses.bin"), "double", nrow(data) * refits, 8L,
                              endian = "little"), nrow(data))
  fitted <- lmer(formula, data)
  work <- function() vapply(seq_len(refits), function(i) REMLcrit(refit(fitted, responses[, i])), 1)
} else {
  work <- function() lmer(formula, data)
}

timed <- function() {
  began <- Sys.time()
  result <- work()
  list(seconds = as.numeric(difftime(Sys.time(), began, units = "secs")), result = result)
}

outcome <- tryCatch({
  invisible(gc())
  resident <- tryCatch({
    cat("5", file = "/proc/self/clear_refs") # resets the high-water mark
    memory("VmRSS")
  }, error = function(condition) NA_real_)
  first <- timed()
  peak <- if (is.na(resident)) NA_real_ else memory("VmHWM") - resident
  ends <- Sys.time() + budget - first$seconds
  known <- if (refits > 0L) {
    list(criterion = mean(first$result), kind = "REML", evaluations = NA, note = "mean criterion")
  } else {
    list(criterion = REMLcrit(first$result), kind = "REML", evaluations = first$result@optinfo$feval, note = "")
  }
  known <- c(list(status = "ok", first_seconds = first$seconds, bytes = peak), known, list(version = version))
  do.call(say, known)
  seconds <- numeric()
  for (i in seq_len(repeats)) {
    if (Sys.time() > ends) break
    seconds <- c(seconds, timed()$seconds)
    do.call(say, c(known, list(seconds = seconds)))
  }
}, error = function(condition) say(status = "failed", reason = conditionMessage(condition), version = version))
