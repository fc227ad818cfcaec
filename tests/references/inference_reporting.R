# inference_reporting.json: lmerTest's summaries to the character, its intervals, and lme4's names and errors.

reported_models <- list(
  list(id = "sleepstudy", data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)"),
  list(id = "sleepstudy_ml", data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)", REML = FALSE),
  list(id = "sleepstudy_intercept", data = "sleepstudy", formula = "Reaction ~ Days + (1 | Subject)"),
  list(id = "sleepstudy_intercept_ml", data = "sleepstudy", formula = "Reaction ~ Days + (1 | Subject)", REML = FALSE),
  list(id = "sleepstudy_two_terms", data = "sleepstudy",
       formula = "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"),
  list(id = "sleepstudy_three_columns", data = "sleepstudy",
       formula = "Reaction ~ Days + I(Days^2) + (Days + I(Days^2) | Subject)"),
  list(id = "sleepstudy_unbalanced", data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)",
       rows = c(1:37, 41:44, 52:90, 95:150, 158:180)),
  list(id = "Dyestuff2", data = "Dyestuff2", formula = "Yield ~ 1 + (1 | Batch)"),
  list(id = "Penicillin", data = "Penicillin", formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"),
  list(id = "Pastes_ml", data = "Pastes", formula = "strength ~ 1 + (1 | batch/cask)", REML = FALSE),
  list(id = "cake", data = "cake", formula = "angle ~ temp + (1 | recipe:replicate)"),
  list(id = "ScotsSec", data = "ScotsSec", formula = "attain ~ verbal + social + (1 | primary) + (1 | second)",
       methods = "Satterthwaite"),
  list(id = "Chem97", data = "Chem97", formula = "score ~ gcsecnt + age + (1 | school) + (1 | lea)",
       methods = "Satterthwaite")
)

# As the other texts, but with the optimizer that stops last: nloptwrap's theta shows in the last digit.
tight_named_fit <- function(...) {
  fitted_with <- named_fit
  environment(fitted_with) <- list2env(list(printed_control = tight), parent = globalenv())
  fitted_with(...)
}

reported_interval <- function(m, ddf) {
  unit <- diag(length(fixef(m)))
  rows <- lapply(seq_len(nrow(unit)), function(i) lmerTest::contest1D(m, unit[i, ], ddf = ddf, confint = TRUE))
  as_rows(do.call(rbind, rows)[, c("lower", "upper")])
}

reported_fit <- function(model) {
  rows <- model$rows
  prepare <- if (is.null(rows)) quote(d) else bquote(d[.(rows), ])
  reml <- is.null(model$REML)
  extra <- if (reml) list() else list(REML = FALSE)
  given <- list(model$data, model$formula, prepare = prepare, fitter = quote(lmerTest::lmer))
  m <- do.call(tight_named_fit, c(given, extra), quote = TRUE)
  methods <- if (!is.null(model$methods)) model$methods else c("Satterthwaite", if (reml) "Kenward-Roger")
  answers <- lapply(setNames(nm = methods), function(ddf) {
    c(list(text = as_array(printed(summary(m, ddf = ddf)))), coefficient_record(m, ddf),
      list(intervals = reported_interval(m, ddf)))
  })
  wald <- confint(m, method = "Wald")
  list(id = model$id, data = model$data, formula = model$formula, REML = reml,
       rows = if (is.null(rows)) NULL else as_array(rows - 1),
       names = as_array(rownames(wald)),
       readable = as_array(rownames(confint(m, method = "Wald", oldNames = FALSE))),
       wald = as_rows(wald), methods = answers)
}

# Standard errors of standard deviations and correlations from a numerical Hessian of lme4's deviance.
sd_errors <- function(data, formula) {
  m <- tight_named_fit(data, formula, REML = FALSE)
  deviance_of <- lme4:::devfun2(m, useSc = TRUE, signames = FALSE)
  optimum <- attr(deviance_of, "optimum")[seq_len(length(getME(m, "theta")) + 1)] # then come the fixed effects
  as_array(sqrt(diag(2 * solve(numDeriv::hessian(deviance_of, optimum)))))
}

reporting_answers <- function() {
  list(fits = lapply(reported_models, reported_fit),
       sd_errors = list(sleepstudy_ml = sd_errors("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
                        Pastes_ml = sd_errors("Pastes", "strength ~ 1 + (1 | batch/cask)")))
}
