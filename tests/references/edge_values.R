# edge_cases.json, second half: values taken from fits, and predictions.

triplets <- function(matrix) {
  entries <- summary(as(matrix, "TsparseMatrix"))
  keep <- entries$x != 0
  list(shape = as_array(dim(matrix)), i = as_array(entries$i[keep] - 1), j = as_array(entries$j[keep] - 1),
       x = as_array(entries$x[keep]))
}

getme_record <- function(m) {
  parts <- getME(m, c("beta", "theta", "u", "b", "Lind", "lower", "Gp", "RX", "devcomp", "cnms"))
  list(beta = as_array(parts$beta), theta = as_array(parts$theta), u = as_array(parts$u),
       b = as_array(parts$b), Lind = as_array(parts$Lind), lower = as_array(parts$lower),
       Gp = as_array(parts$Gp), RX = as_rows(parts$RX), cmp = as.list(parts$devcomp$cmp), dims = as.list(parts$devcomp$dims),
       cnms = lapply(parts$cnms, as_array), Zt = triplets(getME(m, "Zt")),
       Lambdat = triplets(getME(m, "Lambdat")))
}

influence_record <- function(m, group) {
  without <- influence(m, group)
  list(group = group, levels = as_array(rownames(dfbeta(without))),
       cooks_distance = as_array(cooks.distance(without)),
       dfbeta = as_rows(dfbeta(without)), dfbetas = as_rows(dfbetas(without)))
}

values_record <- function(data, formula, weights = NULL) {
  frame <- factor_frame(data)
  m <- if (is.null(weights)) fit_quietly(formula, frame) else fit_quietly(formula, frame, weights = weights)
  modes <- ranef(m, condVar = TRUE)
  variances <- lapply(modes, function(table) {
    parts <- attr(table, "postVar") # one k x k x levels array, or a list of them when terms share a factor
    if (!is.list(parts)) parts <- list(parts)
    lapply(unname(parts), function(part) aperm(part, 3:1))
  })
  list(data = data, formula = formula, weights = if (is.null(weights)) NULL else as_array(weights),
       sigma = sigma(m), vcov = as_rows(vcov(m)), ranef = random_effects(m), cond_var = variances,
       coef = lapply(coef(m), function(table) {
         list(levels = as_array(rownames(table)), cols = as_array(colnames(table)), values = as_rows(table))
       }),
       fitted = as_array(fitted(m)), resid = as_array(residuals(m)),
       resid_pearson = as_array(residuals(m, type = "pearson")),
       resid_scaled = as_array(residuals(m, scaled = TRUE)), hatvalues = as_array(hatvalues(m)),
       getme = getme_record(m))
}

prediction_record <- function(data, formula, newdata, ..., REML = TRUE) {
  m <- fit_quietly(formula, factor_frame(data), REML)
  asked <- list(all = NULL, none = NA, ...)
  list(data = data, formula = formula, newdata = lapply(as.list(newdata), as_array),
       predicted = lapply(asked, function(re.form) {
         as_array(predict(m, newdata, re.form = re.form, allow.new.levels = TRUE))
       }))
}

predictions <- function() {
  days <- data.frame(Days = c(0, 5, 20, 20), Subject = c("308", "372", "308", "999"))
  casks <- data.frame(batch = c("A", "A", "J", "Z"), cask = c("a", "z", "c", "a"))
  plates <- data.frame(plate = c("a", "x", "new"), sample = c("A", "new", "F"))
  list(
    prediction_record("sleepstudy", DAYS, days, intercepts = ~(1 | Subject)),
    prediction_record("sleepstudy", "Reaction ~ Days + (Days||Subject)", days,
                      slopes = ~(0 + Days | Subject)),
    prediction_record("sleepstudy", "Reaction ~ poly(Days, 2) + (1|Subject)", days),
    prediction_record("sleepstudy", "Reaction ~ scale(Days) + (scale(Days)|Subject)", days),
    prediction_record("Pastes", "strength ~ 1 + (1|batch/cask)", casks, batches = ~(1 | batch)),
    prediction_record("Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)", plates, plates = ~(1 | plate)))
}

edge_case_answers <- function() {
  sleep <- fit_quietly(DAYS, factor_frame("sleepstudy"))
  list(
    criterion_at_theta = criteria_at_theta(), fits = edge_fits(), comparisons = comparisons(),
    tests = tests_of_terms(), intervals = intervals(), predictions = predictions(),
    values = list(
      sleepstudy = values_record("sleepstudy", DAYS),
      sleepstudy_weights = values_record("sleepstudy", DAYS, weights = rep(1:5, 36)),
      sleepstudy_double_bar = values_record("sleepstudy", "Reaction ~ Days + (Days||Subject)"),
      Penicillin = values_record("Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)"),
      Pastes = values_record("Pastes", "strength ~ 1 + (1|batch/cask)")),
    influence = list(sleepstudy = influence_record(sleep, "Subject")))
}
