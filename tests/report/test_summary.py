"""The text of a summary against what R prints, from R's own numbers: formatting alone is tested here."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lmmsparse.fitted.varcorr import TermCovariance, VarCorr
from lmmsparse.report.summary import Summary
from tests.answers import REFERENCES

TEXTS = REFERENCES / "summary"

SINGULAR = "boundary (singular) fit: see help('isSingular')"
RANK_DEFICIENT = "fixed-effect model matrix is rank deficient so dropping 1 column / coefficient"

# What lme4 printed, before rounding, by the name of the text. "residuals" are their minimum, quartiles and maximum;
# a term is [group, names, standard deviations, correlations]; correlations are lower triangles, those of the
# random effects column by column, those of the fixed effects row by row.
NUMBERS: dict[str, dict[str, Any]] = json.loads(
    """
{"sleepstudy": {
  "formula": "Reaction ~ Days + (Days | Subject)", "data_name": "sleepstudy", "reml": true, "criterion": 1743.62827,
  "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-3.95356735, -0.463397683, 0.0231176648, 0.463402078, 5.17926037], "sigma": 25.5917957,
  "terms": [["Subject", ["(Intercept)", "Days"], [24.740658, 5.92213766], [0.0655512382]]], "names": ["(Intercept)",
  "Days"], "estimate": [251.405105, 10.467286], "std_error": [6.82459669, 1.54578964], "correlation": [-0.137552]},
"sleepstudy_ml": {
  "formula": "Reaction ~ Days + (Days | Subject)", "data_name": "sleepstudy", "reml": false, "criterion": 1751.93934,
  "aic": 1763.93934, "bic": 1783.09709, "df_resid": 174, "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-3.94155242, -0.465589376, 0.0289447553, 0.463614465, 5.17932343], "sigma": 25.591907,
  "terms": [["Subject", ["(Intercept)", "Days"], [23.7797596, 5.71679851], [0.0813210934]]], "names": ["(Intercept)",
  "Days"], "estimate": [251.405105, 10.467286], "std_error": [6.63212274, 1.50223021], "correlation": [-0.13756]},
"sleepstudy_two_terms": {
  "formula": "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", "data_name": "sleepstudy", "reml": true,
  "criterion": 1743.66929, "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-3.9625873, -0.462517148, 0.0203983374, 0.4652573, 5.1860207], "sigma": 25.5652792,
  "terms": [["Subject", ["(Intercept)"], [25.0513283]], ["Subject", ["Days"], [5.98818667]]], "names": ["(Intercept)",
  "Days"], "estimate": [251.405105, 10.467286], "std_error": [6.88538082, 1.5595691], "correlation": [-0.18444]},
"sleepstudy_double_bar": {
  "formula": "Reaction ~ Days + ((1 | Subject) + (0 + Days | Subject))", "data_name": "sleepstudy", "reml": true,
  "criterion": 1743.66929, "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-3.9625873, -0.462517148, 0.0203983374, 0.4652573, 5.1860207], "sigma": 25.5652792,
  "terms": [["Subject", ["(Intercept)"], [25.0513283]], ["Subject", ["Days"], [5.98818667]]], "names": ["(Intercept)",
  "Days"], "estimate": [251.405105, 10.467286], "std_error": [6.88538082, 1.5595691], "correlation": [-0.18444]},
"sleepstudy_three_columns": {
  "formula": "Reaction ~ Days + I(Days^2) + (Days + I(Days^2) | Subject)", "data_name": "sleepstudy", "reml": true,
  "criterion": 1729.27698, "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-4.49143231, -0.442415045, 0.0453652215, 0.457669265, 4.9136018], "sigma": 22.7989922,
  "terms": [ ["Subject", ["(Intercept)", "Days", "I(Days^2)"], [27.8921344, 14.5926371, 1.45666714], [-0.405212763,
  0.450534144, -0.909868929]]], "names": ["(Intercept)", "Days", "I(Days^2)"], "estimate": [255.449373, 7.43408501,
  0.337022327], "std_error": [7.81486613, 4.0755826, 0.415420642], "correlation": [-0.522593, 0.515408, -0.925363]},
"sleepstudy_weights": {
  "formula": "Reaction ~ Days + (Days | Subject)", "data_name": "sleepstudy", "weights": "w", "reml": true,
  "criterion": 1791.68583, "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-4.68751086, -0.361318048, 0.0755662894, 0.431864412, 5.75567314], "sigma": 62.339561,
  "terms": [["Subject", ["(Intercept)", "Days"], [27.5634169, 6.20558082], [-0.0698696864]]], "names": ["(Intercept)",
  "Days"], "estimate": [248.169691, 11.0065217], "std_error": [8.347827, 1.67142089], "correlation": [-0.328926]},
"sleepstudy_offset": {
  "formula": "Reaction ~ Days + (Days | Subject)", "data_name": "sleepstudy", "offset": "3 * Days", "reml": true,
  "criterion": 1743.62827, "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-3.95356735, -0.463397683, 0.0231176648, 0.463402078, 5.17926037], "sigma": 25.5917957,
  "terms": [["Subject", ["(Intercept)", "Days"], [24.740658, 5.92213766], [0.0655512383]]], "names": ["(Intercept)",
  "Days"], "estimate": [251.405105, 7.46728596], "std_error": [6.8245967, 1.54578964], "correlation": [-0.137552]},
"sleepstudy_subset": {
  "formula": "Reaction ~ Days + (Days | Subject)", "data_name": "sleepstudy", "subset": "Days >= 2", "reml": true,
  "criterion": 1404.09437, "nobs": 144, "ngroups": {"Subject": 18},
  "residuals": [-4.01566753, -0.354080507, 0.00692858007, 0.468109594, 5.07320694], "sigma": 25.5263136,
  "terms": [["Subject", ["(Intercept)", "Days"], [31.5070029, 6.76568081], [-0.254872553]]], "names": ["(Intercept)",
  "Days"], "estimate": [245.096562, 11.4354287], "std_error": [9.25995618, 1.84524236], "correlation": [-0.454078]},
"sleepstudy_missing": {
  "formula": "Reaction ~ Days + (Days | Subject)", "data_name": "sleepstudy", "reml": true, "criterion": 1712.99536,
  "nobs": 177, "ngroups": {"Subject": 18},
  "residuals": [-4.07162059, -0.452548838, 0.0349509405, 0.485999956, 5.20166602], "sigma": 25.4739801,
  "terms": [["Subject", ["(Intercept)", "Days"], [25.9278309, 5.50676009], [0.155182064]]], "names": ["(Intercept)",
  "Days"], "estimate": [253.347973, 10.1912869], "std_error": [7.13166576, 1.4644997], "correlation": [-0.0853715]},
"sleepstudy_large_units": {
  "formula": "Reaction ~ Days + (Days | Subject)", "data_name": "sleepstudy", "reml": true, "criterion": 6661.95003,
  "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-3.95356735, -0.463397683, 0.0231176648, 0.463402078, 5.17926037], "sigma": 25591795.7,
  "terms": [["Subject", ["(Intercept)", "Days"], [24740658, 5922137.66], [0.0655512386]]], "names": ["(Intercept)",
  "Days"], "estimate": [251405105, 10467286], "std_error": [6824596.69, 1545789.64], "correlation": [-0.137552]},
"sleepstudy_small_units": {
  "formula": "Reaction ~ Days + (Days | Subject)", "data_name": "sleepstudy", "reml": true, "criterion": -3174.69349,
  "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-3.95356735, -0.463397683, 0.0231176648, 0.463402078, 5.17926037], "sigma": 2.55917957e-05,
  "terms": [["Subject", ["(Intercept)", "Days"], [2.4740658e-05, 5.92213766e-06], [0.0655512383]]],
  "names": ["(Intercept)", "Days"], "estimate": [0.000251405105, 1.0467286e-05], "std_error": [6.82459669e-06,
  1.54578964e-06], "correlation": [-0.137552]},
"sleepstudy_no_fixed": {
  "formula": "Reaction ~ 0 + (1 | Subject)", "data_name": "sleepstudy", "reml": false, "criterion": 1985.67969,
  "aic": 1989.67969, "bic": 1996.0656, "df_resid": 178, "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-2.59865584, -0.540928476, -0.0705093415, 0.535096978, 3.33321489], "sigma": 44.259069,
  "terms": [["Subject", ["(Intercept)"], [300.505237]]], "names": [], "estimate": [], "std_error": []},
"Dyestuff": {
  "formula": "Yield ~ 1 + (1 | Batch)", "data_name": "Dyestuff", "reml": true, "criterion": 319.654277, "nobs": 30,
  "ngroups": {"Batch": 6},
  "residuals": [-1.41169476, -0.763372036, 0.141835967, 0.779177432, 1.82961736], "sigma": 49.5101,
  "terms": [["Batch", ["(Intercept)"], [42.0005953]]], "names": ["(Intercept)"], "estimate": [1527.5],
  "std_error": [19.3834122]},
"Dyestuff_ml": {
  "formula": "Yield ~ 1 + (1 | Batch)", "data_name": "Dyestuff", "reml": false, "criterion": 327.32706,
  "aic": 333.32706, "bic": 337.530652, "df_resid": 27, "nobs": 30, "ngroups": {"Batch": 6},
  "residuals": [-1.43146102, -0.797243812, 0.147985471, 0.772058039, 1.80370159], "sigma": 49.5101,
  "terms": [["Batch", ["(Intercept)"], [37.2603454]]], "names": ["(Intercept)"], "estimate": [1527.5],
  "std_error": [17.6945535]},
"Dyestuff2": {
  "formula": "Yield ~ 1 + (1 | Batch)", "data_name": "Dyestuff2", "reml": true, "criterion": 161.828278, "nobs": 30,
  "ngroups": {"Batch": 6},
  "residuals": [-1.76484317, -0.780636832, -0.0809003074, 0.668894291, 2.09070508], "sigma": 3.71568427,
  "terms": [["Batch", ["(Intercept)"], [0]]], "names": ["(Intercept)"], "estimate": [5.6656],
  "std_error": [0.678388031]},
"Penicillin": {
  "formula": "diameter ~ 1 + (1 | plate) + (1 | sample)", "data_name": "Penicillin", "reml": true,
  "criterion": 330.860589, "nobs": 144, "ngroups": {"plate": 24, "sample": 6},
  "residuals": [-2.07923367, -0.671396851, 0.0629221638, 0.583771205, 2.97958581], "sigma": 0.549922682,
  "terms": [["plate", ["(Intercept)"], [0.84670251]], ["sample", ["(Intercept)"], [1.93161379]]],
  "names": ["(Intercept)"], "estimate": [22.9722222], "std_error": [0.808595361]},
"Penicillin_ml": {
  "formula": "diameter ~ 1 + (1 | plate) + (1 | sample)", "data_name": "Penicillin", "reml": false,
  "criterion": 332.188349, "aic": 340.188349, "bic": 352.067602, "df_resid": 140, "nobs": 144,
  "ngroups": {"plate": 24, "sample": 6},
  "residuals": [-2.08031419, -0.672271684, 0.0641195847, 0.583555023, 2.97932535], "sigma": 0.54993214,
  "terms": [["plate", ["(Intercept)"], [0.845572512]], ["sample", ["(Intercept)"], [1.77064743]]],
  "names": ["(Intercept)"], "estimate": [22.9722222], "std_error": [0.744596266]},
"Pastes": {
  "formula": "strength ~ 1 + (1 | batch/cask)", "data_name": "Pastes", "reml": true, "criterion": 246.990746,
  "nobs": 60, "ngroups": {"cask:batch": 30, "batch": 10},
  "residuals": [-1.47977603, -0.515577976, 0.00949804852, 0.471996639, 1.38969584], "sigma": 0.823407523,
  "terms": [["cask:batch", ["(Intercept)"], [2.90407747]], ["batch", ["(Intercept)"], [1.28736588]]],
  "names": ["(Intercept)"], "estimate": [60.0533333], "std_error": [0.676870215]},
"cake": {
  "formula": "angle ~ recipe + temperature + (1 | recipe:replicate)", "data_name": "cake", "reml": true,
  "criterion": 1673.87305, "nobs": 270, "ngroups": {"recipe:replicate": 45},
  "residuals": [-2.5185039, -0.626332807, -0.0925782532, 0.562792976, 2.84911813], "sigma": 4.5251151,
  "terms": [["recipe:replicate", ["(Intercept)"], [6.46808132]]], "names": ["(Intercept)", "recipeB", "recipeC",
  "temperature185", "temperature195", "temperature205", "temperature215", "temperature225"], "estimate": [28.9777778,
  -1.47777778, -1.52222222, 1.97777778, 3.44444444, 4.2, 7.86666667, 7.37777778], "std_error": [1.84276634,
  2.45625335, 2.45625335, 0.953978026, 0.953978026, 0.953978026, 0.953978026, 0.953978026], "correlation": [-0.666458,
  -0.666458, 0.5, -0.258844, -1.07481e-14, -1.07481e-14, -0.258844, -1.07481e-14, -1.07481e-14, 0.5, -0.258844,
  -1.07481e-14, -1.07481e-14, 0.5, 0.5, -0.258844, -1.07481e-14, -1.07481e-14, 0.5, 0.5, 0.5, -0.258844, -1.07481e-14,
  -1.07481e-14, 0.5, 0.5, 0.5, 0.5]},
"cake_many_columns": {
  "formula": "angle ~ recipe * temperature + (1 | recipe:replicate)", "data_name": "cake", "reml": true,
  "criterion": 1633.24618, "nobs": 270, "ngroups": {"recipe:replicate": 45},
  "residuals": [-2.64660701, -0.610818131, -0.0520652675, 0.569848372, 2.75373696], "sigma": 4.52447781,
  "terms": [["recipe:replicate", ["(Intercept)"], [6.46815562]]], "names": ["(Intercept)", "recipeB", "recipeC",
  "temperature185", "temperature195", "temperature205", "temperature215", "temperature225", "recipeB:temperature185",
  "recipeC:temperature185", "recipeB:temperature195", "recipeC:temperature195", "recipeB:temperature205",
  "recipeC:temperature205", "recipeB:temperature215", "recipeC:temperature215", "recipeB:temperature225",
  "recipeC:temperature225"], "estimate": [29.1333333, -2.26666667, -1.2, 2.4, 1.66666667, 4.4, 9.53333333, 5.93333333,
  0.133333333, -1.4, 3.2, 2.13333333, 0.866666667, -1.46666667, -1.93333333, -3.06666667, 2.46666667, 1.86666667],
  "std_error": [2.03810266, 2.88231242, 2.88231242, 1.65210571, 1.65210571, 1.65210571, 1.65210571, 1.65210571,
  2.33643029, 2.33643029, 2.33643029, 2.33643029, 2.33643029, 2.33643029, 2.33643029, 2.33643029, 2.33643029,
  2.33643029]},
"cake_singular": {
  "formula": "angle ~ temp + (recipe | replicate)", "data_name": "cake", "reml": true, "criterion": 1652.13193,
  "nobs": 270, "ngroups": {"replicate": 15},
  "residuals": [-2.52483012, -0.563542652, -0.0199210756, 0.625262079, 2.60410131], "sigma": 4.53487201,
  "terms": [ ["replicate", ["(Intercept)", "recipeB", "recipeC"], [5.19262993, 2.9138414, 3.91412923], [0.401526439,
  0.298773409, 0.993980681]]], "names": ["(Intercept)", "temp"], "estimate": [1.77208441, 0.158031746],
  "std_error": [3.5272186, 0.0161599404], "correlation": [-0.916299]},
"ScotsSec": {
  "formula": "attain ~ verbal + sex + social + (1 | primary) + (1 | second)", "data_name": "ScotsSec", "reml": false,
  "criterion": 14773.2215, "aic": 14787.2215, "bic": 14830.2139, "df_resid": 3428, "nobs": 3435,
  "ngroups": {"primary": 148, "second": 19},
  "residuals": [-3.17551588, -0.690100212, 0.00305669707, 0.683293775, 3.86202201], "sigma": 2.04637143,
  "terms": [["primary", ["(Intercept)"], [0.463202281]], ["second", ["(Intercept)"], [0.0580033261]]],
  "names": ["(Intercept)", "verbal", "sexF", "social"], "estimate": [5.71651247, 0.156429775, 0.14311852,
  0.0284182555], "std_error": [0.0725124497, 0.00277938549, 0.0709214441, 0.00335590986], "correlation": [0.185742,
  -0.507863, -0.101993, -0.349664, -0.161549, 0.0476669]},
"Chem97": {
  "formula": "score ~ gcsecnt + gender + age + (1 | school) + (1 | lea)", "data_name": "Chem97", "reml": true,
  "criterion": 141023.369, "nobs": 31022, "ngroups": {"school": 2410, "lea": 131},
  "residuals": [-4.38703257, -0.635622326, 0.0773480928, 0.664240422, 6.89506869], "sigma": 2.24553754,
  "terms": [["school", ["(Intercept)"], [1.06386231]], ["lea", ["(Intercept)"], [0.142383341]]],
  "names": ["(Intercept)", "gcsecnt", "genderF", "age"], "estimate": [5.97298642, 2.56978172, -0.744290698,
  -0.0376033805], "std_error": [0.0350390698, 0.017125595, 0.0302956667, 0.00382132128], "correlation": [0.132848,
  -0.40872, -0.209004, 0.0458708, -0.0577096, 0.00944884]},
"InstEval": {
  "formula": "y ~ service + lectage + studage + (1 | s) + (1 | d) + (1 | dept)", "data_name": "InstEval",
  "reml": true, "criterion": 237615.78, "nobs": 73421, "ngroups": {"s": 2972, "d": 1128, "dept": 14},
  "residuals": [-3.09054064, -0.745891859, 0.0406638025, 0.771618489, 3.15582475], "sigma": 1.17619818,
  "terms": [["s", ["(Intercept)"], [0.326687454]], ["d", ["(Intercept)"], [0.51068417]], ["dept", ["(Intercept)"],
  [0.0832221486]]], "names": ["(Intercept)", "service1", "lectage2", "lectage3", "lectage4", "lectage5", "lectage6",
  "studage4", "studage6", "studage8"], "estimate": [3.29076836, -0.0727803839, -0.0807443307, -0.110185507,
  -0.189165817, -0.164434899, -0.246039075, 0.0519675335, 0.0721565622, 0.136338701], "std_error": [0.0332494991,
  0.013479485, 0.0153815379, 0.0167249228, 0.0196031683, 0.0214066953, 0.0204871084, 0.0231796226, 0.023975307,
  0.026390902], "correlation": [-0.141549, -0.194691, -0.0333496, -0.0337029, -0.0440024, 0.341505, -0.0572083,
  -0.0631288, 0.473143, 0.403025, -0.000334877, -0.0716272, 0.300274, 0.417213, 0.374287, 0.00416555, -0.120756,
  0.406112, 0.447493, 0.497958, 0.490048, -0.32216, 0.0165227, -0.00876634, -0.197162, -0.170002, -0.136066,
  -0.143626, -0.352619, 0.0562219, -0.0230128, -0.23552, -0.209021, -0.273694, -0.297046, 0.517426, -0.346193,
  0.0544522, -0.0248476, -0.258602, -0.23408, -0.282892, -0.372882, 0.490655, 0.574683]},
"InstEval_rank_deficient": {
  "formula": "y ~ service * dept + (1 | s) + (1 | d)", "data_name": "InstEval", "reml": false,
  "criterion": 17961.3494, "aic": 18021.3494, "bic": 18219.5111, "df_resid": 5431, "nobs": 5461, "ngroups": {"d": 841,
  "s": 200},
  "residuals": [-2.89660326, -0.70670477, 0.0531153602, 0.77484757, 2.4318131], "sigma": 1.16505142, "terms": [["d",
  ["(Intercept)"], [0.518859294]], ["s", ["(Intercept)"], [0.305974844]]], "names": ["(Intercept)", "service1",
  "dept5", "dept10", "dept12", "dept6", "dept7", "dept4", "dept8", "dept9", "dept14", "dept1", "dept3", "dept11",
  "dept2", "service1:dept5", "service1:dept10", "service1:dept12", "service1:dept6", "service1:dept7",
  "service1:dept4", "service1:dept9", "service1:dept14", "service1:dept1", "service1:dept3", "service1:dept11",
  "service1:dept2"], "estimate": [3.2857524, 0.442667115, 0.206879155, 0.0163036131, -0.00256584446, 0.1038529,
  0.395414133, 0.0513081956, -0.274512124, 0.000666067245, -0.0461438272, -0.48362141, -0.0437942809, 0.18336512,
  0.192424756, -0.992838333, -0.166257876, -0.195736202, -0.660212816, -0.730723399, -0.15988334952, -0.370138016,
  -0.491126085, 0.164269328, -0.367283601, -0.827798503, -0.666792717], "std_error": [0.09852169, 0.176556656,
  0.213828535, 0.173192405, 0.134309727, 0.261628566, 0.277278037, 0.131038897, 0.20021019, 0.155906786, 0.160439968,
  0.18366764, 0.165657846, 0.180502199, 0.183296247, 0.683345977, 0.291496054, 0.229330026, 0.305727899, 0.387572739,
  0.223836731, 0.271494423, 0.237548686, 0.257352988, 0.256761656, 0.239076789, 0.255486271]},
"sleepstudy_satterthwaite": {
  "formula": "Reaction ~ Days + (Days | Subject)", "data_name": "sleepstudy", "reml": true, "criterion": 1743.62827,
  "nobs": 180, "ngroups": {"Subject": 18},
  "residuals": [-3.95356735, -0.463397683, 0.0231176648, 0.463402078, 5.17926037], "sigma": 25.5917957,
  "terms": [["Subject", ["(Intercept)", "Days"], [24.740658, 5.92213766], [0.0655512382]]], "names": ["(Intercept)",
  "Days"], "estimate": [251.405105, 10.467286], "std_error": [6.82459669, 1.54578964], "df": [16.9997263, 16.9999837],
  "p_value": [1.17155811e-17, 3.26382447e-06], "correlation": [-0.137552]},
"cake_satterthwaite": {
  "formula": "angle ~ recipe + temperature + (1 | recipe:replicate)", "data_name": "cake", "reml": true,
  "criterion": 1673.87305, "nobs": 270, "ngroups": {"recipe:replicate": 45},
  "residuals": [-2.5185039, -0.626332807, -0.0925782532, 0.562792976, 2.84911813], "sigma": 4.5251151,
  "terms": [["recipe:replicate", ["(Intercept)"], [6.46808132]]], "names": ["(Intercept)", "recipeB", "recipeC",
  "temperature185", "temperature195", "temperature205", "temperature215", "temperature225"], "estimate": [28.9777778,
  -1.47777778, -1.52222222, 1.97777778, 3.44444444, 4.2, 7.86666667, 7.37777778], "std_error": [1.84276634,
  2.45625335, 2.45625335, 0.953978026, 0.953978026, 0.953978026, 0.953978026, 0.953978026], "df": [53.0627289,
  41.9999997, 41.9999997, 220, 220, 220, 220, 220], "p_value": [1.27198166e-21, 0.550648436, 0.538781153,
  0.0393192103, 0.000378335121, 1.66869491e-05, 1.48249114e-14, 3.71435092e-13], "correlation": [-0.666458, -0.666458,
  0.5, -0.258844, -1.07481e-14, -1.07481e-14, -0.258844, -1.07481e-14, -1.07481e-14, 0.5, -0.258844, -1.07481e-14,
  -1.07481e-14, 0.5, 0.5, -0.258844, -1.07481e-14, -1.07481e-14, 0.5, 0.5, 0.5, -0.258844, -1.07481e-14, -1.07481e-14,
  0.5, 0.5, 0.5, 0.5]}}
"""
)


def varcorr_of(numbers: dict[str, Any]) -> VarCorr:
    terms = []
    for group, names, sd, *correlations in numbers["terms"]:
        correlation = np.eye(len(names))
        if correlations:
            # The upper triangle row by row is the lower one column by column.
            correlation[np.triu_indices(len(names), 1)] = correlations[0]
            correlation += np.triu(correlation, 1).T
        terms.append(TermCovariance(group, tuple(names), correlation * np.outer(sd, sd), True))
    return VarCorr(tuple(terms), numbers["sigma"])


def coefficients_of(numbers: dict[str, Any]) -> pd.DataFrame:
    estimate, std_error = np.array(numbers["estimate"], float), np.array(numbers["std_error"], float)
    columns = {"estimate": estimate, "std_error": std_error, "statistic": estimate / std_error}
    columns |= {name: np.array(numbers[name], float) for name in ("df", "p_value") if name in numbers}
    return pd.DataFrame(columns, index=numbers["names"])


def correlation_of(numbers: dict[str, Any]) -> pd.DataFrame | None:
    if "correlation" not in numbers:
        return None
    correlation = np.eye(len(numbers["names"]))
    correlation[np.tril_indices(len(correlation), -1)] = numbers["correlation"]
    correlation += np.tril(correlation, -1).T
    return pd.DataFrame(correlation, index=numbers["names"], columns=numbers["names"])


def summary_of(name: str, **changes: Any) -> Summary:
    numbers = NUMBERS[name]
    fields: dict[str, Any] = {
        "loglik": -numbers["criterion"] / 2,
        "deviance": numbers["criterion"],
        "aic": np.nan,
        "bic": np.nan,
        "df_resid": 0,
    }
    shared = ("reml", "formula", "data_name", "criterion", "aic", "bic", "df_resid", "nobs", "ngroups")
    fields |= {key: numbers[key] for key in (*shared, "weights", "offset", "subset") if key in numbers}
    fields |= {
        "scaled_residuals": np.array(numbers["residuals"]),
        "varcorr": varcorr_of(numbers),
        "coefficients": coefficients_of(numbers),
        "correlation": correlation_of(numbers),
    }
    return Summary(**(fields | changes))


def text_of(name: str) -> str:
    """R's text without the line on the optimizer and blank lines at the end, and with Python in place of R's calls."""
    lines = (TEXTS / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    text = "\n".join(line for line in lines if not line.startswith("optimizer ("))
    in_r = "Use print(object, correlation=TRUE)  or\n    vcov(object)        if you need it"
    return text.replace(in_r, "Use m.vcov() if you need it.")


@pytest.mark.parametrize("name", NUMBERS)
def test_whole_text(name: str) -> None:
    expected = text_of(name)
    messages = tuple(text for text in (SINGULAR, RANK_DEFICIENT) if text in expected)
    assert str(summary_of(name, messages=messages)) == expected


def test_every_reference_is_compared() -> None:
    assert {path.stem for path in TEXTS.glob("*.txt")} == {*NUMBERS, "sleepstudy_print"}


def test_brief_text() -> None:
    assert summary_of("sleepstudy").brief() == text_of("sleepstudy_print")


def test_brief_text_without_fixed_effects() -> None:
    # As R prints the model.
    assert summary_of("sleepstudy_no_fixed").brief() == "\n".join(
        [
            "Linear mixed model fit by maximum likelihood  ['lmerMod']",
            "Formula: Reaction ~ 0 + (1 | Subject)",
            "   Data: sleepstudy",
            "      AIC       BIC    logLik  deviance  df.resid ",
            "1989.6797 1996.0656 -992.8398 1985.6797       178 ",
            "Random effects:",
            " Groups   Name        Std.Dev.",
            " Subject  (Intercept) 300.51  ",
            " Residual              44.26  ",
            "Number of obs: 180, groups:  Subject, 18",
            "No fixed effect coefficients",
        ]
    )


def test_repr_is_the_text() -> None:
    summary = summary_of("Dyestuff")
    assert repr(summary) == str(summary)


def test_data_without_a_name_have_no_line() -> None:
    text = str(summary_of("sleepstudy", data_name=None))
    assert text == text_of("sleepstudy").replace("   Data: sleepstudy\n", "")


def test_formula_of_several_lines_is_printed_on_one() -> None:
    formula = "\n    Reaction ~ Days\n        + (Days | Subject)\n"
    assert str(summary_of("sleepstudy", formula=formula)) == text_of("sleepstudy")


def test_titles_with_tests() -> None:
    name = "sleepstudy_satterthwaite"
    assert str(summary_of(name, ddf="Kenward-Roger")) == text_of(name).replace("Satterthwaite", "Kenward-Roger")
    assert str(summary_of(name, reml=False)).split("\n")[:2] == [
        "Linear mixed model fit by maximum likelihood . t-tests use Satterthwaite's",
        "  method [lmerModLmerTest]",
    ]


def test_messages_stand_at_the_end_singular_ones_last() -> None:
    singular = "boundary (singular) fit: the variance of (Intercept) in Batch is zero"
    text = str(summary_of("Dyestuff", messages=(singular, "one column was dropped")))
    assert text == f"{text_of('Dyestuff')}\nfit warnings:\none column was dropped\n{singular}"


def test_groups_that_do_not_fit_follow_on_the_next_line() -> None:
    text = str(summary_of("Dyestuff", nobs=180, ngroups={"g" * 48: 6}))
    assert f"Number of obs: 180, groups:  \n{'g' * 48}, 6\n" in text


@pytest.mark.parametrize(("count", "is_shown"), [(12, True), (13, False)])
def test_correlations_of_up_to_12_fixed_effects_are_shown(count: int, is_shown: bool) -> None:
    names = [f"x{i}" for i in range(count)]
    ones = np.ones(count)
    text = str(
        summary_of(
            "Dyestuff",
            coefficients=pd.DataFrame({"estimate": ones, "std_error": ones, "statistic": ones}, index=names),
            correlation=pd.DataFrame(np.eye(count), index=names, columns=names),
        )
    )
    assert ("Correlation of Fixed Effects:" in text) is is_shown
    assert (f"not shown by default, as p = {count} > 12." in text) is not is_shown


def test_quartiles_are_interpolated_and_missing_residuals_left_out() -> None:
    residuals = np.array([32.0, np.nan, 1, 2, 4, 8, 16])
    lines = str(summary_of("Dyestuff", scaled_residuals=residuals)).split("\n")
    assert lines[lines.index("Scaled residuals: ") + 2].split() == ["1.0", "2.5", "6.0", "14.0", "32.0"]


@pytest.mark.parametrize(
    ("residuals", "expected"),
    [
        ([np.nan, np.nan], ["NaN"] * 5),
        ([-np.inf, -1.5, 0.0, 1.5, np.inf], ["-Inf", "-1.5", "0.0", "1.5", "Inf"]),
        ([0.0, 0.0, 0.0], ["0"] * 5),
    ],
)
def test_residuals_of_a_perfect_fit(residuals: list[float], expected: list[str]) -> None:
    lines = str(summary_of("Dyestuff", scaled_residuals=np.array(residuals))).split("\n")
    assert lines[lines.index("Scaled residuals: ") + 2].split() == expected


def test_perfect_fit() -> None:
    names = ["(Intercept)", "Days"]
    undefined = pd.DataFrame(np.full((2, 2), np.nan), index=names, columns=names)
    text = str(
        summary_of(
            "sleepstudy",
            criterion=-np.inf,
            varcorr=VarCorr((TermCovariance("Subject", ("(Intercept)", "Days"), np.zeros((2, 2)), True),), 0.0),
            coefficients=pd.DataFrame(
                {"estimate": [3.0, 2.0], "std_error": [0.0, 0.0], "statistic": [np.inf, np.inf]}, index=names
            ),
            correlation=undefined,
        )
    )
    lines = text.split("\n")
    assert "REML criterion at convergence: -Inf" in lines
    assert "          Days        0        0         NaN" in lines
    assert "Days               2          0     Inf" in lines
    assert lines[-1] == "Days NaN   "
