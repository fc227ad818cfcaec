# inference_influence.json: hat values, Cook's distances, residuals, and influence(m, groups = ...) by refits.

days_weights <- quote(1 + (seq_len(180) %% 4) / 2)
influence_models <- list(
  list(id = "sleepstudy", data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)", groups = "Subject"),
  list(id = "sleepstudy_ml", data = "sleepstudy", formula = "Reaction ~ Days + (1 | Subject)", REML = FALSE,
       groups = c("Subject", NA)),
  list(id = "sleepstudy_weighted", data = "sleepstudy", formula = "Reaction ~ Days + (1 | Subject)",
       weights = days_weights, groups = "Subject"),
  list(id = "Penicillin", data = "Penicillin", formula = "diameter ~ 1 + (1 | plate) + (1 | sample)",
       groups = c("plate", "sample")),
  list(id = "cake", data = "cake", formula = "angle ~ recipe + temp + (1 | replicate) + (1 | recipe:replicate)",
       groups = "replicate")
)

# lme4's own refits stop early (its optimizer cannot be chosen); estimates are good to about 1e-5 of a standard error.
influence_by <- function(m, groups) {
  found <- suppressWarnings(suppressMessages(
    if (is.na(groups)) influence(m, maxfun = 1e5) else influence(m, groups = groups, maxfun = 1e5)))
  left <- found[[grep("^fixed.effects\\[", names(found))]]
  variances <- found[[grep("^var.cov.comps\\[", names(found))]]
  # its dfbetas() fails for one coefficient
  changes <- if (ncol(left) > 1) dfbetas(found) else dfbeta(found) / sqrt(unlist(found[[grep("^vcov\\[", names(found))]]))
  list(labels = as_array(rownames(left)), beta = as_rows(left), sigma = as_array(sqrt(variances[, "sigma^2"])),
       cooks = as_array(cooks.distance(found)), dfbetas = as_rows(changes))
}

influence_case <- function(model) {
  d <- factor_frame(model$data)
  given <- list(formula = as.formula(model$formula, env = globalenv()), data = d, REML = is.null(model$REML),
                control = tight)
  if (!is.null(model$weights)) given$weights <- eval(model$weights)
  m <- do.call(lme4::lmer, given)
  groups <- setNames(model$groups, ifelse(is.na(model$groups), "row", model$groups))
  list(id = model$id, data = model$data, formula = model$formula, REML = is.null(model$REML),
       weights = if (is.null(model$weights)) NULL else as_array(given$weights),
       hat = as_array(hatvalues(m)), cooks = as_array(cooks.distance(m)),
       response = as_array(residuals(m)), pearson = as_array(residuals(m, "pearson")),
       scaled = as_array(residuals(m, "pearson", scaled = TRUE)),
       influence = lapply(groups, function(g) influence_by(m, g)))
}

influence_answers <- function() list(fits = lapply(influence_models, influence_case))
