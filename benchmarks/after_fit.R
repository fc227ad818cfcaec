# Seconds of what is done after a fit, by lme4, lmerTest, pbkrtest: the counterpart of after_fit.py.
#
#   Rscript benchmarks/after_fit.R
#
# Prints a line a task: its name and the median of some repeats, a tab between them.
suppressPackageStartupMessages({
  library(lme4)
  library(lmerTest)
})
options(warn = -1)

report <- function(name, repeats, action) {
  seconds <- vapply(seq_len(repeats), function(i) system.time(action())[["elapsed"]], 0)
  cat(name, median(seconds), sep = "\t")
  cat("\n")
  flush(stdout())
}

quiet <- function(expression) suppressMessages(suppressWarnings(invisible(capture.output(force(expression)))))
few <- 5

sleep <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
tested <- as_lmerModLmerTest(sleep)
report("satterthwaite", few, function() coef(summary(as_lmerModLmerTest(sleep))))
report("kenward-roger", few, function() coef(summary(tested, ddf = "Kenward-Roger")))
report("drop1", few, function() quiet(drop1(sleep, test = "Chisq")))
report("ranova", few, function() quiet(ranova(tested)))
report("profile", 1, function() quiet(confint(sleep, quiet = TRUE)))
report("bootstrap", 1, function() quiet(bootMer(sleep, fixef, nsim = 1000, seed = 1)))
report("influence-refit", few, function() quiet(influence(sleep, "Subject")))
report("hatvalues", few, function() hatvalues(sleep))

inst <- lme4::lmer(y ~ service + (1 | s) + (1 | d) + (1 | dept), InstEval)
report("satterthwaite-large", 1, function() coef(summary(as_lmerModLmerTest(inst))))
