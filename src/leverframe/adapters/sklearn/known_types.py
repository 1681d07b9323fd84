"""Types that a stored model may hold without anybody declaring them.

Skops trusts most of scikit-learn, NumPy and SciPy itself. What stands here builds a value or is a function of
statistics, whatever arguments a crafted file gives it; so `functools.partial`, `operator` and packages are missing.
The boosters of other libraries open a model of their own format, by their own compiled code.
"""

from __future__ import annotations

# Compiled: a crafted file could make them point outside of themselves; `tree_bounds` looks before the first prediction.
TREE_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
TREE = "sklearn.tree._tree.Tree"
NEIGHBOUR_TREES = ("sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree")

DEQUE = "collections.deque"  # skops stores it without its items

_STANDARD = """
    builtins: bytearray frozenset range set
    collections: ChainMap Counter OrderedDict defaultdict
    datetime: date datetime time timedelta timezone
    decimal: Decimal
    fractions: Fraction
    pathlib: PurePosixPath PureWindowsPath
    types: SimpleNamespace
    uuid: UUID
    zoneinfo: ZoneInfo
    numpy: dtype max mean median min
"""
_SCIKIT_LEARN = """
    sklearn._loss.loss: HalfTweedieLossIdentity
    sklearn.calibration: _CalibratedClassifier _SigmoidCalibration _TemperatureScaling
    sklearn.cluster._bisect_k_means: _BisectingTree
    sklearn.cluster._kmeans: _kmeans_single_elkan _kmeans_single_lloyd
    sklearn.feature_selection._mutual_info: mutual_info_classif mutual_info_regression
    sklearn.feature_selection._univariate_selection: chi2 f_classif f_oneway f_regression r_regression
    sklearn.gaussian_process._gpc: _BinaryGaussianProcessClassifierLaplace
    sklearn.gaussian_process.kernels: CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Matern
    sklearn.gaussian_process.kernels: PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel
    sklearn.metrics._classification: balanced_accuracy_score
    sklearn.metrics._dist_metrics: ChebyshevDistance64 EuclideanDistance64 ManhattanDistance64 MinkowskiDistance64
    sklearn.metrics._scorer: _CurveScorer _PassthroughScorer _Scorer
    sklearn.model_selection._split: GroupKFold KFold LeaveOneOut RepeatedKFold RepeatedStratifiedKFold ShuffleSplit
    sklearn.model_selection._split: StratifiedGroupKFold StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit
    sklearn.multiclass: _ConstantPredictor
    sklearn.neural_network._stochastic_optimizers: AdamOptimizer SGDOptimizer
    sklearn.utils._bunch: Bunch
    sklearn.utils._metadata_requests: MetadataRequest MethodMetadataRequest
    scipy.interpolate._bsplines: BSpline
    scipy.sparse._csr: csr_matrix
"""
# Tried with the versions of a test that runs every night. CatBoost stores its models in other bytes each time.
_LIBRARIES = """
    catboost.core: CatBoostClassifier CatBoostRegressor
    lightgbm.basic: Booster
    lightgbm.sklearn: LGBMClassifier LGBMRegressor
    xgboost.core: Booster
    xgboost.sklearn: XGBClassifier XGBRegressor XGBRFClassifier XGBRFRegressor
    imblearn.combine._smote_enn: SMOTEENN
    imblearn.combine._smote_tomek: SMOTETomek
    imblearn.ensemble._bagging: BalancedBaggingClassifier
    imblearn.ensemble._easy_ensemble: EasyEnsembleClassifier
    imblearn.ensemble._forest: BalancedRandomForestClassifier
    imblearn.ensemble._weight_boosting: RUSBoostClassifier
    imblearn.over_sampling._adasyn: ADASYN
    imblearn.over_sampling._random_over_sampler: RandomOverSampler
    imblearn.over_sampling._smote.base: SMOTE SMOTEN SMOTENC
    imblearn.over_sampling._smote.cluster: KMeansSMOTE
    imblearn.over_sampling._smote.filter: BorderlineSMOTE SVMSMOTE
    imblearn.pipeline: Pipeline
    imblearn.under_sampling._prototype_generation._cluster_centroids: ClusterCentroids
    imblearn.under_sampling._prototype_selection._condensed_nearest_neighbour: CondensedNearestNeighbour
    imblearn.under_sampling._prototype_selection._edited_nearest_neighbours: AllKNN EditedNearestNeighbours
    imblearn.under_sampling._prototype_selection._edited_nearest_neighbours: RepeatedEditedNearestNeighbours
    imblearn.under_sampling._prototype_selection._instance_hardness_threshold: InstanceHardnessThreshold
    imblearn.under_sampling._prototype_selection._nearmiss: NearMiss
    imblearn.under_sampling._prototype_selection._neighbourhood_cleaning_rule: NeighbourhoodCleaningRule
    imblearn.under_sampling._prototype_selection._one_sided_selection: OneSidedSelection
    imblearn.under_sampling._prototype_selection._random_under_sampler: RandomUnderSampler
    imblearn.under_sampling._prototype_selection._tomek_links: TomekLinks
"""


def _listed(text: str) -> frozenset[str]:
    lines = [line.partition(":") for line in text.split("\n") if line.strip()]
    return frozenset(f"{module.strip()}.{name}" for module, _, names in lines for name in names.split())


STANDARD = _listed(_STANDARD)
SCIKIT_LEARN = _listed(_SCIKIT_LEARN) | {TREE, TREE_PREDICTOR, *NEIGHBOUR_TREES}
LIBRARIES = _listed(_LIBRARIES)


def known(name: str) -> bool:
    """Tell whether a model may hold a type without a declaration."""
    return name in STANDARD or name in SCIKIT_LEARN or name in LIBRARIES
