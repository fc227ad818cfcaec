# A fit by lme4, and what is recorded of it.

DAYS <- "Reaction ~ Days + (Days|Subject)"

# Derivative-free and stopped late: criteria are exact to about 1e-9, theta to about 1e-6.
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5),
                     calc.derivs = FALSE, check.conv.singular = "ignore")

fit_quietly <- function(formula, frame, REML = TRUE, ..., fitter = lme4::lmer) {
  formula <- as.formula(formula, env = globalenv())
  arguments <- list(formula = formula, data = frame, REML = REML, control = tight, ...)
  suppressWarnings(suppressMessages(do.call(fitter, arguments)))
}

# Vectors stay JSON arrays, whatever their length; matrices are arrays of rows.
as_array <- function(x) I(unname(as.vector(x)))
as_rows <- function(x) unname(as.matrix(x))
as_object <- function(x) if (length(x)) as.list(x) else setNames(list(), character())

criterion <- function(m) if (isREML(m)) REMLcrit(m) else as.numeric(-2 * logLik(m))

variance_rows <- function(m) {
  table <- as.data.frame(VarCorr(m))
  lapply(seq_len(nrow(table)), function(i) as.list(table[i, ]))
}

random_effects <- function(m, rows = Inf) {
  lapply(ranef(m, condVar = FALSE), function(table) {
    table <- head(table, min(rows, nrow(table)))
    list(levels = as_array(rownames(table)), cols = as_array(colnames(table)), values = as_rows(table))
  })
}

fit_record <- function(m) {
  list(crit = criterion(m), logLik = as.numeric(logLik(m)), AIC = AIC(m), BIC = BIC(m),
       df = attr(logLik(m), "df"), nobs = nobs(m),
       theta = as_array(getME(m, "theta")), theta_names = as_array(names(getME(m, "theta"))),
       sigma = sigma(m), fixef = as_object(fixef(m)),
       se = as_object(sqrt(diag(as.matrix(vcov(m))))),
       varcorr = variance_rows(m), singular = isSingular(m), fitted_head = as_array(head(fitted(m), 5)),
       resid_ss = sum(residuals(m)^2), lme4_evaluations = m@optinfo$feval)
}

anova_record <- function(m, ...) {
  table <- as.data.frame(anova(m, ...))
  list(term = as_array(rownames(table)), sum_sq = as_array(table[["Sum Sq"]]),
       mean_sq = as_array(table[["Mean Sq"]]), NumDF = as_array(table$NumDF), DenDF = as_array(table$DenDF),
       F = as_array(table[["F value"]]), p = as_array(table[["Pr(>F)"]]))
}

coefficient_record <- function(m, ddf) {
  table <- coef(summary(m, ddf = ddf))
  list(df = as_array(table[, "df"]), se = as_array(table[, "Std. Error"]), t = as_array(table[, "t value"]),
       p = as_array(table[, "Pr(>|t|)"]))
}
