# lme4.json: models over the datasets, each as fitted to the plain frame.

published_model <- function(data, formula, REML = TRUE, weights = NULL, offset = NULL, inference = FALSE,
                            large = FALSE) {
  kind <- if (REML) "REML" else "ML"
  extra <- c(if (!is.null(weights)) paste("weights", weights), if (!is.null(offset)) paste("offset", offset))
  id <- if (length(extra)) paste(data, extra, kind) else paste(data, formula, kind)
  frame <- plain_frame(data)
  values <- lapply(list(weights = weights, offset = offset), function(text) {
    if (!is.null(text)) eval(parse(text = text), frame)
  })
  values <- Filter(Negate(is.null), values)
  m <- do.call(fit_quietly, c(list(formula, frame, REML), values))
  record <- c(list(id = id, data = data, formula = formula, REML = REML, weights = weights, offset = offset),
              fit_record(m))
  if (!large) record$ranef <- random_effects(m, rows = 5)
  if (inference) record <- c(record, inference_record(formula, frame, REML))
  cat(id, record$crit, "\n")
  record
}

# Kenward and Roger's method is defined for REML fits only.
inference_record <- function(formula, frame, REML) {
  m <- fit_quietly(formula, frame, REML, fitter = lmerTest::lmer)
  record <- list(satterthwaite = coefficient_record(m, "Satterthwaite"), anova3 = anova_record(m))
  if (REML) record$kr <- coefficient_record(m, "Kenward-Roger")
  record
}

model_answers <- function() {
  crossed <- "y ~ service + (1|s) + (1|d) + (1|dept)"
  list(
    published_model("Dyestuff", "Yield ~ 1 + (1|Batch)", inference = TRUE),
    published_model("Dyestuff", "Yield ~ 1 + (1|Batch)", FALSE),
    published_model("Dyestuff2", "Yield ~ 1 + (1|Batch)"),
    published_model("Dyestuff2", "Yield ~ 1 + (1|Batch)", FALSE),
    published_model("Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)"),
    published_model("Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)", FALSE),
    published_model("Pastes", "strength ~ 1 + (1|batch/cask)", inference = TRUE),
    published_model("Pastes", "strength ~ 1 + (1|sample) + (1|batch)"),
    published_model("sleepstudy", DAYS, inference = TRUE),
    published_model("sleepstudy", DAYS, FALSE, inference = TRUE),
    published_model("sleepstudy", "Reaction ~ Days + (Days||Subject)", inference = TRUE),
    published_model("sleepstudy", "Reaction ~ Days + (Days||Subject)", FALSE),
    published_model("sleepstudy", "Reaction ~ Days + (1|Subject)", inference = TRUE),
    published_model("sleepstudy", "Reaction ~ Days + (0+Days|Subject)"),
    published_model("sleepstudy", "log(Reaction) ~ log(Days+1) + (log(Days+1)|Subject)", FALSE),
    published_model("sleepstudy", "Reaction ~ Days + I(Days^2) + (Days + I(Days^2)|Subject)"),
    published_model("sleepstudy", DAYS, weights = "rep(1:5,36)"),
    published_model("sleepstudy", DAYS, FALSE, weights = "rep(1:5,36)"),
    published_model("sleepstudy", DAYS, offset = "3*Days"),
    published_model("cake", "angle ~ recipe * temperature + (1|recipe:replicate)", inference = TRUE),
    published_model("cake", "angle ~ recipe + temp + (1|replicate) + (1|recipe:replicate)", inference = TRUE),
    published_model("cake", "angle ~ temp + (recipe|replicate)"),
    published_model("cake", "angle ~ temp + (0+recipe|replicate)"),
    published_model("ScotsSec", "attain ~ sex + (1|primary) + (1|second)"),
    published_model("ScotsSec", "attain ~ verbal * sex + (verbal|primary) + (1|second)"),
    published_model("Chem97", "score ~ gcsecnt + (1|school) + (1|lea)", large = TRUE),
    published_model("Chem97", "score ~ gcsecnt + gender + (gcsecnt|school) + (1|lea)", FALSE, large = TRUE),
    published_model("InstEval", crossed, large = TRUE),
    published_model("InstEval", crossed, FALSE, large = TRUE),
    published_model("InstEval", "y ~ service * lectage + studage + (1|s) + (1|d) + (1|dept:service)",
                    large = TRUE),
    published_model("InstEval", "y ~ service + (1|s) + (service|d) + (service||dept)", FALSE, large = TRUE)
  )
}
