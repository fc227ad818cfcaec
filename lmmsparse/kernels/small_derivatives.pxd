from libc.stdint cimport int32_t

from lmmsparse.kernels.small_work cimport Sizes, Work


cdef int score_sums(
    const Sizes n, Work work, bint reml, double sigma2, const int32_t* factor, const int32_t* sizes, int width,
    double* leaf_sum, double* rest_sum,
) noexcept nogil


cdef void average_information(
    const Sizes n, Work work, const double* A, const double* B, const double* rest, const double* lam,
    const int32_t* factor, const int32_t* sizes, const double* templates, int width,
    const double* b_leaf, const double* b_rest, const int32_t* owner, const int32_t* row, const int32_t* column,
    double sigma2, double pwrss, double* out,
) noexcept nogil
