# inference_testing.json: anova, contest, drop1 and ranova by lmerTest and lme4, simulated ratios by RLRsim, on frames
# with factors.
#
#   Rscript tests/references/reference.R tests/references testing
#
# `holed` frames lack every seventh row, so that the degrees of freedom depend on the contrasts.

holed <- function(data) {
  frame <- factor_frame(data)
  frame[-seq(1, nrow(frame), 7), ]
}

test_fit <- function(formula, data, hole = TRUE, REML = TRUE, ...) {
  frame <- if (hole) holed(data) else factor_frame(data)
  fit_quietly(formula, frame, REML, ..., fitter = lmerTest::lmer)
}

anova_case <- function(id, formula, data, hole = TRUE, coding = NULL, kr = FALSE, ...) {
  arguments <- list(formula = formula, data = data, hole = hole, ...)
  if (!is.null(coding)) arguments$contrasts <- lapply(coding, function(f) "contr.sum")
  m <- do.call(test_fit, arguments)
  types <- lapply(1:3, function(type) anova_record(m, type = type))
  list(id = id, formula = formula, data = data, hole = hole, coding = as_array(as.character(names(coding))),
       satterthwaite = setNames(types, c("1", "2", "3")),
       kr = if (kr) setNames(lapply(1:3, function(type) anova_record(m, type = type, ddf = "Kenward-Roger")), c("1", "2", "3")))
}

anova_cases <- function() {
  both <- list(recipe = 1, temperature = 1)
  list(
    anova_case("interaction", "angle ~ recipe * temperature + (1|recipe:replicate)", "cake", kr = TRUE),
    anova_case("interaction_sum", "angle ~ recipe * temperature + (1|recipe:replicate)", "cake", coding = both),
    anova_case("slopes", "angle ~ recipe * temp + (1|recipe:replicate)", "cake", kr = TRUE),
    anova_case("slopes_sum", "angle ~ recipe * temp + (1|recipe:replicate)", "cake", coding = both["recipe"]),
    anova_case("additive", "angle ~ temperature + recipe + (1|replicate)", "cake"),
    anova_case("no_intercept", "angle ~ 0 + recipe + temperature + (1|replicate)", "cake"),
    anova_case("alone", "angle ~ temperature + (1|replicate) + (temp|recipe:replicate)", "cake", kr = TRUE),
    anova_case("polynomial", "Reaction ~ poly(Days, 2) + (Days|Subject)", "sleepstudy"),
    anova_case("plain", "Reaction ~ Days + I(Days^2) + (Days|Subject)", "sleepstudy"),
    anova_case("three_way", "attain ~ sex * verbal * social + (1|second)", "ScotsSec"),
    anova_case("weighted", "angle ~ recipe * temp + (1|replicate)", "cake", weights = rep_len(1:5, 270)[-seq(1, 270, 7)]),
    anova_case("years", "log(TICKS + 1) ~ YEAR * HEIGHT + (1|BROOD) + (1|LOCATION)", "grouseticks")
  )
}

# Type III where combinations of levels have no observations; `third` and the cells are made again by the tests.
empty_cases <- function() {
  one <- function(id, formula, empty, coding = NULL) {
    frame <- factor_frame("cake")
    frame$third <- factor(c("u", "v", "w")[seq_len(nrow(frame))^2 %/% 5 %% 3 + 1])
    frame <- frame[seq_len(nrow(frame)) %% 7 != 1, ]
    gone <- Reduce(`|`, lapply(empty, function(cell) Reduce(`&`, lapply(names(cell), function(name) frame[[name]] == cell[[name]]))))
    arguments <- list(formula, frame[!gone, ], fitter = lmerTest::lmer)
    if (!is.null(coding)) arguments$contrasts <- lapply(coding, function(f) "contr.sum")
    m <- do.call(fit_quietly, arguments)
    list(id = id, formula = formula, empty = empty, coding = as_array(as.character(names(coding))),
         table = suppressMessages(anova_record(m, type = 3)))
  }
  cell <- function(...) list(...)
  two <- list(cell(recipe = "B", temperature = "185"))
  five <- list(cell(recipe = "B", temperature = "185"), cell(recipe = "A", temperature = "175"), cell(recipe = "C", temperature = "225"),
               cell(recipe = "C", temperature = "215"), cell(recipe = "B", temperature = "175"))
  deep <- list(cell(recipe = "B", third = "v"), cell(recipe = "C", temperature = "185"), cell(temperature = "225", third = "u"),
               cell(recipe = "A", temperature = "195", third = "w"))
  list(one("one cell", "angle ~ recipe * temperature + (1|replicate)", two),
       one("one cell, sum", "angle ~ recipe * temperature + (1|replicate)", two, list(recipe = 1, temperature = 1)),
       one("five cells", "angle ~ temperature * recipe + (1|replicate)", five),
       one("first cell", "angle ~ recipe * temperature + (1|replicate)", list(cell(recipe = "A", temperature = "175"))),
       one("three factors", "angle ~ recipe * temperature * third + (1|replicate)", deep),
       one("two of three", "angle ~ recipe * temperature + third + (1|replicate)", five),
       one("slopes", "angle ~ (recipe * third) * temp + (1|replicate)", deep[1]))
}

table_record <- function(table, names) {
  table <- as.data.frame(table)
  c(list(rows = as_array(rownames(table))), setNames(lapply(names, function(name) as_array(table[[name]])), names))
}

drop1_cases <- function() {
  one <- function(formula, data) {
    m <- test_fit(formula, data)
    tests <- suppressMessages(drop1(as(m, "lmerMod"), test = "Chisq"))
    list(formula = formula, data = data, chisq = table_record(tests, c("npar", "AIC", "LRT", "Pr(Chi)")),
         F = table_record(suppressMessages(drop1(m)), c("NumDF", "DenDF", "F value", "Pr(>F)")))
  }
  list(one("angle ~ recipe * temperature + (1|recipe:replicate)", "cake"),
       one("angle ~ temperature + recipe + (1|replicate)", "cake"),
       one("Reaction ~ Days + I(Days^2) + (Days|Subject)", "sleepstudy"),
       # of deficient rank: columns of a later term, or of an earlier one, span others
       one("angle ~ temperature + recipe + temp + (1|replicate)", "cake"),
       one("angle ~ temp + recipe + temperature + (1|replicate)", "cake"),
       one("Reaction ~ Days + I(2 * Days + 1) + I(Days^2) + (1|Subject)", "sleepstudy"),
       one("angle ~ temperature + (1|replicate) + (temp|recipe:replicate)", "cake"))
}

ranova_cases <- function() {
  one <- function(formula, data, REML = TRUE) {
    m <- test_fit(formula, data, REML = REML)
    tests <- suppressWarnings(suppressMessages(lmerTest::ranova(m)))
    list(formula = formula, data = data, REML = REML,
         table = table_record(tests, c("npar", "logLik", "AIC", "LRT", "Df", "Pr(>Chisq)")))
  }
  list(one("Reaction ~ Days + (Days|Subject)", "sleepstudy"),
       one("Reaction ~ Days + (Days|Subject)", "sleepstudy", REML = FALSE),
       one("Yield ~ 1 + (1|Batch)", "Dyestuff"),
       one("strength ~ 1 + (1|batch/cask)", "Pastes"),
       one("Reaction ~ Days + (Days + I(Days^2)|Subject)", "sleepstudy"),
       one("angle ~ temp + (recipe|replicate)", "cake"),
       one("angle ~ temp + (0 + recipe|replicate)", "cake"))
}

comparison_cases <- function() {
  one <- function(data, ...) {
    formulas <- c(...)
    fits <- lapply(formulas, test_fit, data = data)
    tests <- suppressMessages(do.call(anova, lapply(fits, as, "lmerMod")))
    list(data = data, formulas = as_array(formulas),
         table = table_record(tests, c("npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)")))
  }
  list(one("sleepstudy", "Reaction ~ Days + (Days|Subject)", "Reaction ~ 1 + (1|Subject)", "Reaction ~ Days + (1|Subject)"),
       one("cake", "angle ~ recipe * temp + (1|recipe:replicate)", "angle ~ temp + (1|recipe:replicate)"))
}

contest_case <- function() {
  m <- test_fit("angle ~ recipe * temp + (1|recipe:replicate)", "cake")
  L <- rbind(c(0, 1, 0, 0, 195, 0), c(0, 0, 1, 0, 0, 195), c(0, 1, -1, 0, 195, -195))
  joint <- function(ddf) as.list(lmerTest::contest(m, L, ddf = ddf))
  single <- function(ddf) lapply(as.list(lmerTest::contest(m, L, joint = FALSE, confint = FALSE, ddf = ddf)), as_array)
  list(L = L, joint = joint("Satterthwaite"), joint_kr = joint("Kenward-Roger"), single = single("Satterthwaite"),
       single_kr = single("Kenward-Roger"))
}

# Tail probabilities of the simulated statistics of one component, and p-values, by RLRsim; many draws.
simulated_cases <- function() {
  points <- c(0, 0.5, 1, 2, 4)
  one <- function(formula, data, hole = TRUE, draws = 4e5) {
    m <- as(test_fit(formula, data, hole), "lmerMod")
    X <- getME(m, "X")
    Z <- as.matrix(getME(m, "Z"))
    identity <- diag(ncol(Z))
    restricted <- RLRsim::RLRTSim(X, Z, qr(X), identity, seed = 1, nsim = draws)
    plain <- RLRsim::LRTSim(X, Z, 0, identity, seed = 2, nsim = draws)
    tails <- function(x) as_array(sapply(points, function(at) mean(x > at)))
    list(formula = formula, data = data, hole = hole, draws = draws, points = as_array(points),
         REML = tails(restricted), ML = tails(plain))
  }
  p_value <- function(test) list(statistic = unname(test$statistic), p = unname(test$p.value))
  dyestuff <- lapply(c(TRUE, FALSE), function(REML) as(test_fit("Yield ~ 1 + (1|Batch)", "Dyestuff", FALSE, REML), "lmerMod"))
  pastes <- lapply(c("batch", "batch/cask", "batch:cask"), function(group)
    as(test_fit(paste0("strength ~ 1 + (1|", group, ")"), "Pastes", FALSE), "lmerMod"))
  list(tails = list(one("Reaction ~ Days + (1|Subject)", "sleepstudy"),
                    one("Reaction ~ Days + (0 + Days|Subject)", "sleepstudy"),
                    one("Yield ~ 1 + (1|Batch)", "Dyestuff", FALSE),
                    one("log(TICKS + 1) ~ YEAR * HEIGHT + (1|LOCATION)", "grouseticks"),
                    one("angle ~ recipe * temperature + (1|replicate)", "cake")),
       dyestuff = p_value(RLRsim::exactRLRT(dyestuff[[1]], nsim = 1e6, seed = 1)),
       dyestuff_ml = p_value(RLRsim::exactLRT(dyestuff[[2]], lm(Yield ~ 1, factor_frame("Dyestuff")), nsim = 1e6, seed = 1)),
       pastes = p_value(RLRsim::exactRLRT(pastes[[1]], pastes[[2]], pastes[[3]], nsim = 1e6, seed = 1)))
}

testing_answers <- function() {
  suppressMessages(library(lmerTest))
  list(anova = anova_cases(), drop1 = drop1_cases(), ranova = ranova_cases(), comparisons = comparison_cases(),
       contest = contest_case(), simulated = simulated_cases(), empty = empty_cases())
}
