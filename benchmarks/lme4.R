# Fit one model several times with lme4 in this process and print the measurement as one line of JSON.
#
#   Rscript lme4.R DATA.csv FORMULA REML REPEATS FACTOR,FACTOR,...

suppressPackageStartupMessages(library(lme4))

arguments <- commandArgs(trailingOnly = TRUE)
data <- read.csv(arguments[1])
formula <- as.formula(arguments[2])
reml <- arguments[3] == "TRUE"
repeats <- as.integer(arguments[4])
for (name in strsplit(arguments[5], ",", fixed = TRUE)[[1]]) data[[name]] <- factor(data[[name]])

status <- function(field) {
  line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
  1024 * as.numeric(gsub("[^0-9]", "", line))
}

fit <- function() {
  seconds <- system.time(model <- lmer(formula, data, REML = reml))[["elapsed"]]
  list(seconds = seconds, model = model)
}

invisible(gc())
resident <- tryCatch({
  cat("5", file = "/proc/self/clear_refs") # resets the high-water mark
  status("VmRSS")
}, error = function(condition) NA, warning = function(condition) NA)
first <- fit()
peak <- if (is.na(resident)) "null" else format(status("VmHWM") - resident, digits = 15)
# the clock of system.time ticks in milliseconds: short fits are timed many at once
together <- max(1L, as.integer(0.2 / max(first$seconds, 1e-3)))
later <- vapply(seq_len(repeats), function(i) {
  system.time(for (j in seq_len(together)) lmer(formula, data, REML = reml))[["elapsed"]] / together
}, numeric(1))

cat(sprintf(
  '{"first_seconds": %.6f, "seconds": [%s], "bytes": %s, "criterion": %.10f, "evaluations": %d}\n',
  first$seconds, paste(sprintf("%.6f", later), collapse = ", "), peak,
  -2 * as.numeric(logLik(first$model)), first$model@optinfo$feval
))
