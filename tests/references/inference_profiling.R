# inference_profiling.json: intervals from profiled likelihoods, and two profiles point by point.

# Steps are a third of lme4's own, so that what its splines read between the points is exact to about 1e-5.
profile_record <- function(data, formula, weights = NULL, curves = FALSE) {
  frame <- factor_frame(data)
  values <- Filter(Negate(is.null), list(weights = if (!is.null(weights)) eval(parse(text = weights), frame)))
  m <- do.call(fit_quietly, c(list(formula, frame, TRUE), values))
  p <- suppressWarnings(profile(m, delta.cutoff = 1 / 24, alphamax = 0.02))
  limits <- suppressWarnings(confint(p, level = 0.95))
  readable <- rownames(suppressWarnings(suppressMessages(confint(m, method = "Wald", oldNames = FALSE))))
  record <- list(data = data, formula = formula, weights = weights, names = as_array(rownames(limits)),
                 readable = as_array(readable), lower = as_array(limits[, 1]), upper = as_array(limits[, 2]))
  if (curves) {
    table <- as.data.frame(p)
    # every fourth point and no more digits than the path is good for
    record$curves <- lapply(split(table, table$.par, drop = TRUE), function(part) {
      part <- part[seq(2, nrow(part) - 1, by = 4), ]
      list(value = as_array(part[[as.character(part$.par[1])]]), zeta = as_array(part$.zeta))
    })
  }
  cat(data, formula, "\n")
  record
}

profile_answers <- function() {
  list(
    profile_record("sleepstudy", DAYS, curves = TRUE),
    profile_record("sleepstudy", "Reaction ~ Days + (Days||Subject)"),
    profile_record("sleepstudy", "Reaction ~ Days + (1|Subject)", weights = "rep(1:5, 36)"),
    profile_record("Dyestuff", "Yield ~ 1 + (1|Batch)", curves = TRUE),
    profile_record("Dyestuff2", "Yield ~ 1 + (1|Batch)"),
    profile_record("Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)"),
    profile_record("Pastes", "strength ~ 1 + (1|batch/cask)"),
    profile_record("cake", "angle ~ temp + (1|recipe:replicate) + (1|replicate)")
  )
}
