# inference_components.json: parts of the variance, ICC and R2 by performance and insight, principal components by lme4.
#
#   Rscript tests/references/reference.R tests/references components
#
# No weights, no offset and no double bar: insight treats those in its own way.

component_case <- function(formula, data, REML = TRUE) {
  m <- fit_quietly(formula, factor_frame(data), REML)
  parts <- insight::get_variance(m, tolerance = 0)
  icc <- performance::icc(m, tolerance = 0)
  r2 <- performance::r2_nakagawa(m, tolerance = 0)
  pca <- lapply(unclass(rePCA(m)), function(one) list(sdev = as_array(one$sdev), rotation = as_rows(one$rotation)))
  list(formula = formula, data = data, REML = REML,
       variance = list(fixed = unname(parts$var.fixed), random = unname(parts$var.random),
                       residual = unname(parts$var.residual)),
       icc = as_array(c(icc$ICC_adjusted, icc$ICC_unadjusted)),
       r2 = as_array(c(r2$R2_marginal, r2$R2_conditional)), pca = pca)
}

component_answers <- function() {
  list(models = list(
    component_case("Reaction ~ Days + (Days|Subject)", "sleepstudy"),
    component_case("Reaction ~ Days + (Days|Subject)", "sleepstudy", REML = FALSE),
    component_case("Reaction ~ Days + I(Days^2) + (Days + I(Days^2)|Subject)", "sleepstudy"),
    component_case("strength ~ 1 + (1|batch/cask)", "Pastes"),
    component_case("diameter ~ 1 + (1|plate) + (1|sample)", "Penicillin"),
    component_case("angle ~ recipe * temp + (temp|replicate)", "cake"),
    component_case("angle ~ recipe * temp + (1|recipe:replicate)", "cake"),
    component_case("attain ~ sex + verbal + (verbal|second) + (1|primary)", "ScotsSec")
  ))
}
