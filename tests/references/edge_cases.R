# edge_cases.json: what happens off the main road, on frames with factors.

# `prepare` is an expression in the frame d; it is recorded as text, so that a test can do the same.
prepared <- function(data, prepare, frame = factor_frame) eval(prepare, list(d = frame(data)))

edge_fit <- function(id, data, formula, REML = TRUE, prepare = quote(d), frame = factor_frame, ...) {
  m <- fit_quietly(formula, prepared(data, prepare, frame), REML, ...)
  c(list(id = id, data = data, formula = formula, REML = REML,
         prepare = gsub(" +", " ", paste(deparse(prepare, width.cutoff = 500), collapse = " "))),
    fit_record(m),
    list(ngroups = as.list(ngrps(m)), q = ncol(getME(m, "Z")), ranef = random_effects(m, rows = 5)))
}

criteria_at_theta <- function() {
  at <- function(data, formula, REML, ...) {
    frame <- factor_frame(data)
    evaluate <- suppressMessages(lmer(as.formula(formula), frame, REML = REML, devFunOnly = TRUE))
    lapply(list(...), function(theta) {
      list(data = data, formula = formula, REML = REML, theta = as_array(theta), crit = evaluate(theta))
    })
  }
  quadratic <- "Reaction ~ Days + I(Days^2) + (Days + I(Days^2)|Subject)"
  mixed <- "attain ~ verbal * sex + (verbal|primary) + (1|second)"
  c(at("Dyestuff", "Yield ~ 1 + (1|Batch)", TRUE, 1, 0), at("Dyestuff", "Yield ~ 1 + (1|Batch)", FALSE, 1, 0),
    at("sleepstudy", DAYS, TRUE, c(1, 0, 1), c(0, 0, 0), c(1, 0, 0), c(0.7, -0.3, 0.2)),
    at("sleepstudy", DAYS, FALSE, c(1, 0, 1), c(0, 0, 0), c(0.7, -0.3, 0.2)),
    at("sleepstudy", quadratic, TRUE, c(1, 0.2, -0.1, 0.5, 0.05, 0.02)),
    at("Penicillin", "diameter ~ 1 + (1|plate) + (1|sample)", TRUE, c(1, 1), c(0, 2), c(1.5, 0)),
    at("Pastes", "strength ~ 1 + (1|batch/cask)", TRUE, c(1, 1), c(3, 0), c(0, 2)),
    at("ScotsSec", mixed, TRUE, c(1, 0.1, 0.3, 0.5), c(0.3, 0, 0, 0.1)),
    at("ScotsSec", mixed, FALSE, c(1, 0.1, 0.3, 0.5)))
}

edge_fits <- function() {
  # What (recipe||replicate) means to lmmsparse: an intercept and a contrast for each further recipe, uncorrelated.
  diagonal <- "angle ~ temp + (1|replicate) + (0 + B|replicate) + (0 + C|replicate)"
  dummies <- quote(transform(d, B = as.numeric(recipe == "B"), C = as.numeric(recipe == "C")))
  temperatures <- "angle ~ recipe * temperature + (1|recipe:replicate)"
  list(
    edge_fit("weights", "sleepstudy", DAYS, weights = rep(1:10, 18)),
    edge_fit("weights_ml", "sleepstudy", DAYS, FALSE, weights = rep(1:10, 18)),
    edge_fit("weights_all_ten_ml", "sleepstudy", DAYS, FALSE, weights = rep(10, 180)),
    edge_fit("offset_term", "sleepstudy", "Reaction ~ Days + offset(3 * Days) + (Days|Subject)"),
    edge_fit("first_20_rows", "sleepstudy", DAYS, prepare = quote(d[1:20, ])),
    edge_fit("response_times_1e-8", "sleepstudy", DAYS,
             prepare = quote(transform(d, Reaction = Reaction * 1e-8))),
    edge_fit("response_times_1e8", "sleepstudy", DAYS,
             prepare = quote(transform(d, Reaction = Reaction * 1e8))),
    edge_fit("missing_response", "sleepstudy", DAYS, prepare = quote({ d$Reaction[1:3] <- NA; d })),
    edge_fit("missing_predictor", "sleepstudy", DAYS, prepare = quote({ d$Days[1:3] <- NA; d })),
    edge_fit("missing_group", "sleepstudy", DAYS, prepare = quote({ d$Subject[1:3] <- NA; d })),
    edge_fit("levels_unused", "sleepstudy", DAYS, prepare = quote(d[!d$Subject %in% c("308", "309"), ])),
    edge_fit("no_fixed_effects", "sleepstudy", "Reaction ~ 0 + (1|Subject)"),
    edge_fit("aliased_column", "sleepstudy", "Reaction ~ Days + I(2 * Days + 1) + (Days|Subject)"),
    edge_fit("redundant_terms", "sleepstudy", "Reaction ~ Days + (1|Subject) + (Days|Subject)"),
    edge_fit("polynomial_fixed", "sleepstudy", "Reaction ~ poly(Days, 2) + (1|Subject)"),
    edge_fit("spline_fixed", "sleepstudy", "Reaction ~ splines::bs(Days, df = 4) + (1|Subject)"),
    edge_fit("scaled_fixed", "sleepstudy", "Reaction ~ scale(Days) + (scale(Days)|Subject)"),
    edge_fit("slope_without_intercept", "sleepstudy", "Reaction ~ Days + (0 + Days|Subject)"),
    edge_fit("temperature_treatment", "cake", temperatures),
    edge_fit("temperature_polynomial", "cake", temperatures, contrasts = list(temperature = "contr.poly")),
    edge_fit("recipe_sum", "cake", temperatures, contrasts = list(recipe = "contr.sum")),
    edge_fit("temperature_numeric", "cake", temperatures, frame = plain_frame),
    edge_fit("temperature_ml", "cake", temperatures, FALSE),
    edge_fit("factor_slopes", "cake", "angle ~ temp + (recipe|replicate)"),
    edge_fit("factor_slopes_no_intercept", "cake", "angle ~ temp + (0 + recipe|replicate)"),
    edge_fit("factor_slopes_double_bar", "cake", "angle ~ temp + (recipe||replicate)"),
    edge_fit("factor_slopes_diagonal", "cake", diagonal, prepare = dummies),
    edge_fit("factor_slopes_diagonal_ml", "cake", diagonal, FALSE, prepare = dummies),
    edge_fit("nested_and_crossed", "cake", "angle ~ recipe + temperature + (1|replicate/recipe)"),
    edge_fit("smaller_factor_first", "Penicillin", "diameter ~ 1 + (1|sample) + (1|plate)"),
    edge_fit("ties_are_reversed", "Penicillin", "diameter ~ 1 + (1|sample) + (0 + odd|sample) + (1|plate)",
             prepare = quote(transform(d, odd = as.integer(plate) %% 2))),
    edge_fit("cask_alone", "Pastes", "strength ~ 1 + (1|cask)"),
    edge_fit("cask_in_batch", "Pastes", "strength ~ 1 + (1|batch:cask) + (1|batch)"),
    edge_fit("labels_sorted", "ScotsSec", "attain ~ sex + (1|primary) + (1|second)", frame = plain_frame),
    edge_fit("labels_in_order", "ScotsSec", "attain ~ sex + (1|primary) + (1|second)"),
    edge_fit("binary_response", "cbpp", "incidence / size ~ period + (1|herd)", weights = quote(size))
  )
}

comparison_record <- function(table) {
  list(models = as_array(rownames(table)), npar = as_array(table$npar), AIC = as_array(table$AIC),
       BIC = as_array(table$BIC), logLik = as_array(table$logLik), deviance = as_array(table$deviance),
       chisq = as_array(table$Chisq), df = as_array(table$Df), p = as_array(table[["Pr(>Chisq)"]]))
}

comparisons <- function() {
  frame <- factor_frame("sleepstudy")
  one <- fit_quietly("Reaction ~ Days + (1|Subject)", frame)
  two <- fit_quietly("Reaction ~ Days + (Days||Subject)", frame)
  three <- fit_quietly(DAYS, frame)
  tested <- fit_quietly(DAYS, frame, fitter = lmerTest::lmer)
  dropped <- drop1(fit_quietly(DAYS, frame, FALSE), test = "Chisq")
  ranova <- lmerTest::ranova(tested)
  list(
    anova_reml_fits_refitted = comparison_record(suppressMessages(anova(one, two, three))),
    anova_reml_fits_as_they_are = comparison_record(anova(one, two, three, refit = FALSE)),
    drop1 = list(terms = as_array(rownames(dropped)), npar = as_array(dropped$npar),
                 AIC = as_array(dropped$AIC), LRT = as_array(dropped$LRT),
                 p = as_array(dropped[["Pr(Chi)"]])),
    ranova = list(terms = as_array(rownames(ranova)), npar = as_array(ranova$npar),
                  logLik = as_array(ranova$logLik), AIC = as_array(ranova$AIC), LRT = as_array(ranova$LRT),
                  df = as_array(ranova$Df), p = as_array(ranova[["Pr(>Chisq)"]])),
    logLik_of_reml_fit_by_ml = as.numeric(logLik(three, REML = FALSE)))
}

tests_of_terms <- function() {
  m <- fit_quietly("angle ~ recipe * temperature + (1|recipe:replicate)", factor_frame("cake"),
                   fitter = lmerTest::lmer)
  additive <- fit_quietly("angle ~ recipe + temperature + (1|recipe:replicate)", factor_frame("cake"),
                          fitter = lmerTest::lmer)
  pupils <- fit_quietly("attain ~ verbal * sex + social + (1|primary) + (1|second)", factor_frame("ScotsSec"),
                        fitter = lmerTest::lmer)
  contrast <- function(L, ...) as.list(lmerTest::contest(additive, L, ...))
  B_and_C <- rbind(c(0, 1, 0, 0, 0, 0, 0, 0), c(0, 0, 1, 0, 0, 0, 0, 0))
  list(
    cake_type1 = anova_record(m, type = 1), cake_type2 = anova_record(m, type = 2),
    cake_type3 = anova_record(m, type = 3),
    cake_type3_kenward_roger = anova_record(m, type = 3, ddf = "Kenward-Roger"),
    cake_coefficients = coefficient_record(m, "Satterthwaite"),
    cake_coefficients_kenward_roger = coefficient_record(m, "Kenward-Roger"),
    ScotsSec_type1 = anova_record(pupils, type = 1), ScotsSec_type2 = anova_record(pupils, type = 2),
    ScotsSec_type3 = anova_record(pupils, type = 3),
    cake_recipe_joint = contrast(B_and_C),
    cake_recipe_joint_kenward_roger = contrast(B_and_C, ddf = "Kenward-Roger"),
    cake_recipe_B_less_C = contrast(c(0, 1, -1, 0, 0, 0, 0, 0), joint = FALSE))
}

interval_rows <- function(table) {
  list(names = as_array(rownames(table)), lower = as_array(table[, 1]), upper = as_array(table[, 2]))
}

intervals <- function() {
  both <- function(formula, frame, REML = TRUE) {
    m <- fit_quietly(formula, frame, REML)
    list(formula = formula, REML = REML, wald = interval_rows(confint(m, method = "Wald")),
         profile = interval_rows(suppressWarnings(suppressMessages(confint(m, method = "profile")))))
  }
  list(sleepstudy = both(DAYS, factor_frame("sleepstudy")),
       sleepstudy_double_bar = both("Reaction ~ Days + (Days||Subject)", factor_frame("sleepstudy")),
       Dyestuff = both("Yield ~ 1 + (1|Batch)", factor_frame("Dyestuff")),
       Penicillin = both("diameter ~ 1 + (1|plate) + (1|sample)", factor_frame("Penicillin"), FALSE))
}
