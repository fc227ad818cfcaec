# summary/*.txt: what lme4 prints, to the character.

# lme4's default optimizer (its name is part of the text), stopped late so that every printed digit is right.
printed_control <- lmerControl(optimizer = "nloptwrap", calc.derivs = FALSE,
                               optCtrl = list(xtol_abs = 1e-10, ftol_abs = 1e-10, maxeval = 1e5))

# The call is built by name, since the text quotes it.
named_fit <- function(data, formula, ..., prepare = quote(d), fitter = quote(lme4::lmer)) {
  scope <- new.env(parent = globalenv())
  scope[[data]] <- eval(prepare, list(d = factor_frame(data)))
  call <- as.call(c(list(fitter, as.formula(formula), data = as.name(data)), list(...),
                    list(control = printed_control)))
  m <- suppressWarnings(suppressMessages(eval(call, scope)))
  m@call$control <- NULL # not part of the model
  m
}

# Some lines go to the message stream in R; they are part of what a reader sees.
printed <- function(object) {
  said <- character()
  lines <- withCallingHandlers(capture.output(print(object)), message = function(note) {
    said <<- c(said, strsplit(conditionMessage(note), "\n")[[1]])
    invokeRestart("muffleMessage")
  })
  c(lines, said)
}

summarised_fits <- function() {
  days <- "Reaction ~ Days + (Days | Subject)"
  quadratic <- "Reaction ~ Days + I(Days^2) + (Days + I(Days^2) | Subject)"
  list(
    sleepstudy = named_fit("sleepstudy", days),
    sleepstudy_ml = named_fit("sleepstudy", days, REML = FALSE),
    sleepstudy_two_terms = named_fit("sleepstudy", "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"),
    sleepstudy_double_bar = named_fit("sleepstudy", "Reaction ~ Days + (Days || Subject)"),
    sleepstudy_three_columns = named_fit("sleepstudy", quadratic),
    sleepstudy_weights = named_fit("sleepstudy", days, weights = quote(w),
                                   prepare = quote(transform(d, w = Days + 1))),
    sleepstudy_offset = named_fit("sleepstudy", days, offset = quote(3 * Days)),
    sleepstudy_subset = named_fit("sleepstudy", days, subset = quote(Days >= 2)),
    sleepstudy_missing = named_fit("sleepstudy", days, prepare = quote({ d$Reaction[1:3] <- NA; d })),
    sleepstudy_large_units = named_fit("sleepstudy", days,
                                       prepare = quote(transform(d, Reaction = Reaction * 1e6))),
    sleepstudy_small_units = named_fit("sleepstudy", days,
                                       prepare = quote(transform(d, Reaction = Reaction / 1e6))),
    sleepstudy_no_fixed = named_fit("sleepstudy", "Reaction ~ 0 + (1 | Subject)"),
    Dyestuff = named_fit("Dyestuff", "Yield ~ 1 + (1 | Batch)"),
    Dyestuff_ml = named_fit("Dyestuff", "Yield ~ 1 + (1 | Batch)", REML = FALSE),
    Dyestuff2 = named_fit("Dyestuff2", "Yield ~ 1 + (1 | Batch)"),
    Penicillin = named_fit("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    Penicillin_ml = named_fit("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", REML = FALSE),
    Pastes = named_fit("Pastes", "strength ~ 1 + (1 | batch/cask)"),
    cake = named_fit("cake", "angle ~ recipe + temperature + (1 | recipe:replicate)"),
    cake_many_columns = named_fit("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)"),
    cake_singular = named_fit("cake", "angle ~ temp + (recipe | replicate)"),
    ScotsSec = named_fit("ScotsSec", "attain ~ verbal + sex + social + (1 | primary) + (1 | second)",
                         REML = FALSE),
    Chem97 = named_fit("Chem97", "score ~ gcsecnt + gender + age + (1 | school) + (1 | lea)"),
    InstEval = named_fit("InstEval", "y ~ service + lectage + studage + (1 | s) + (1 | d) + (1 | dept)"),
    InstEval_rank_deficient = named_fit("InstEval", "y ~ service * dept + (1 | s) + (1 | d)", REML = FALSE,
                                        prepare = quote(d[as.integer(d$s) <= 200, ]))
  )
}

tested_fits <- function() {
  fit <- function(data, formula) named_fit(data, formula, fitter = quote(lmerTest::lmer))
  list(
    sleepstudy_satterthwaite = fit("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    cake_satterthwaite = fit("cake", "angle ~ recipe + temperature + (1 | recipe:replicate)")
  )
}

write_summaries <- function(directory) {
  dir.create(directory, showWarnings = FALSE, recursive = TRUE)
  write_text <- function(object, name) writeLines(printed(object), file.path(directory, paste0(name, ".txt")))
  fits <- summarised_fits()
  for (name in names(fits)) write_text(summary(fits[[name]]), name)
  tested <- tested_fits()
  for (name in names(tested)) write_text(summary(tested[[name]]), name)
  write_text(fits$sleepstudy, "sleepstudy_print")
}
