/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The random stream of HPC Challenge RandomAccess: a(0) = 1, a(k + 1) = a(k) << 1, xor 7 if the
 * bit shifted out was 1. Seen as polynomials over GF(2), a(k) is x^k modulo x^64 + x^2 + x + 1,
 * so a jump to any position is a power, computed by squaring.
 */
#ifndef WORKLOADS_STREAM_H
#define WORKLOADS_STREAM_H

#include <stdint.h>

/* After this many steps the stream repeats. */
#define STREAM_PERIOD	UINT64_C(1317624576693539401)

static inline uint64_t stream_next(uint64_t a)
{
	return a << 1 ^ ((int64_t)a < 0 ? 7 : 0);
}

static inline uint64_t stream_multiply(uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	for (; b; b >>= 1, a = stream_next(a))
		if (b & 1)
			product ^= a;
	return product;
}

/* Return a(k). */
static inline uint64_t stream_at(uint64_t k)
{
	uint64_t result = 1, power = 2;

	for (; k; k >>= 1, power = stream_multiply(power, power))
		if (k & 1)
			result = stream_multiply(result, power);
	return result;
}

#endif
