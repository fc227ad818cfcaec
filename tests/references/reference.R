# lme4's answers for the tests, from the packaged datasets.
#
#   Rscript tests/references/reference.R DIRECTORY [PART ...]
#
# Writes lme4.json, edge_cases.json, summary/*.txt, inference_*.json and structures.json into DIRECTORY; with parts named, only those.
# Needs R with lme4, lmerTest, pbkrtest, glmmTMB, RLRsim, numDeriv, boot, performance, nlme and jsonlite, and about five
# minutes, most of them for InstEval.
suppressMessages({
  library(lme4)
  library(jsonlite)
})
invisible(Sys.setlocale("LC_COLLATE", "C")) # strings sort as in Python
invisible(Sys.setlocale("LC_CTYPE", "C.UTF-8"))
options(width = 80)

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
here <- dirname(normalizePath(script))
packaged <- file.path(here, "..", "..", "lmmsparse", "datasets", "data")
parts <- c("models", "edge_cases", "summaries", "testing", "reporting", "profiling", "bootstrap", "components",
           "prediction", "influence", "structures")

arguments <- commandArgs(TRUE)
directory <- if (length(arguments)) arguments[1] else here
chosen <- if (length(arguments) > 1) arguments[-1] else parts
stopifnot(chosen %in% parts)

for (file in setdiff(list.files(here, "[.]R$"), basename(script))) source(file.path(here, file))

write_answers <- function(answers, name) {
  write(toJSON(answers, auto_unbox = TRUE, digits = NA, null = "null", na = "null", pretty = TRUE),
        file.path(directory, name))
}

if ("models" %in% chosen) write_answers(model_answers(), "lme4.json")
if ("edge_cases" %in% chosen) write_answers(edge_case_answers(), "edge_cases.json")
if ("summaries" %in% chosen) write_summaries(file.path(directory, "summary"))
if ("testing" %in% chosen) write_answers(testing_answers(), "inference_testing.json")
if ("reporting" %in% chosen) write_answers(reporting_answers(), "inference_reporting.json")
if ("profiling" %in% chosen) write_answers(profile_answers(), "inference_profiling.json")
if ("bootstrap" %in% chosen) write_answers(bootstrap_answers(), "inference_bootstrap.json")
if ("components" %in% chosen) write_answers(component_answers(), "inference_components.json")
if ("prediction" %in% chosen) write_answers(prediction_answers(), "inference_prediction.json")
if ("influence" %in% chosen) write_answers(influence_answers(), "inference_influence.json")
if ("structures" %in% chosen) write_answers(structure_answers(), "structures.json")
