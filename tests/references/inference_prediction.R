# inference_prediction.json: standard errors of predictions by glmmTMB, and of marginal means by lmerTest and pbkrtest.
#
#   Rscript tests/references/reference.R DIRECTORY prediction
#
# glmmTMB's standard errors count the uncertainty of the variances, too; held at lme4's REML estimates they do not.
# `kept` is the remainder rule of the rows that are fitted: a row stays when 7 i modulo 10 is below it.

held_fit <- function(formula, frame, m) {
  theta <- unlist(lapply(lme4::findbars(as.formula(formula)), function(bar) {
    v <- lme4::VarCorr(m)[[deparse(bar[[3]])]]
    sd <- attr(v, "stddev")
    r <- attr(v, "correlation")
    c(log(sd), if (length(sd) == 2) r[2, 1] / sqrt(1 - r[2, 1]^2))
  }))
  glmmTMB::glmmTMB(as.formula(formula), frame, REML = FALSE, start = list(theta = theta, betad = 2 * log(sigma(m))),
                   map = list(theta = factor(rep(NA, length(theta))), betad = factor(NA)))
}

prediction_case <- function(data, formula, kept, chosen, new = list()) {
  whole <- factor_frame(data)
  frame <- droplevels(whole[(seq_len(nrow(whole)) * 7) %% 10 < kept, ])
  m <- fit_quietly(formula, frame, TRUE, fitter = lmerTest::lmer)
  newdata <- whole[chosen, ]
  for (name in names(new)) newdata[[name]] <- new[[name]]
  held <- suppressWarnings(held_fit(formula, frame, m))
  all <- predict(held, newdata, se.fit = TRUE, allow.new.levels = TRUE)
  none <- predict(held, newdata, se.fit = TRUE, re.form = NA, allow.new.levels = TRUE)
  L <- model.matrix(delete.response(terms(lme4::nobars(as.formula(formula)))), newdata)
  marginal <- function(ddf) {
    table <- suppressMessages(lmerTest::contest(m, L, joint = FALSE, confint = TRUE, ddf = ddf))
    list(se = as_array(table[["Std. Error"]]), df = as_array(table$df), lower = as_array(table$lower),
         upper = as_array(table$upper))
  }
  list(data = data, formula = formula, kept = kept, chosen = as_array(chosen - 1), new = lapply(new, as_array),
       all = list(predicted = as_array(all$fit), se = as_array(all$se.fit)),
       none = list(predicted = as_array(none$fit), se = as_array(none$se.fit)),
       satterthwaite = marginal("Satterthwaite"), kr = marginal("Kenward-Roger"))
}

prediction_answers <- function() {
  list(
    prediction_case("sleepstudy", "Reaction ~ Days + (Days | Subject)", 10, c(1, 5, 10, 42, 180)),
    prediction_case("sleepstudy", "Reaction ~ Days + (Days | Subject)", 6, c(1, 50, 60),
                    list(Days = c(20, 3, 0), Subject = c("308", "none", "372"))),
    prediction_case("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", 4, seq(1, 144, 5)),
    prediction_case("Pastes", "strength ~ 1 + (1 | sample) + (1 | batch)", 10, seq(1, 60, 7)),
    prediction_case("cake", "angle ~ recipe + temp + (temp | replicate)", 7, seq(1, 270, 13))
  )
}
