// SPDX-License-Identifier: GPL-2.0
/* Print the frequency of this host's time stamp counter in kHz: QEMU's TCG hands it on. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

/* Both clocks at once: of many pairs, the one that took the least time. */
static void sample(uint64_t *tsc, uint64_t *ns)
{
	uint64_t least = UINT64_MAX;
	struct timespec now;

	for (int i = 0; i < 1000; i++) {
		uint64_t before = __rdtsc(), after;

		clock_gettime(CLOCK_MONOTONIC, &now);
		after = __rdtsc();
		if (after - before >= least)
			continue;
		least = after - before;
		*tsc = before + least / 2;
		*ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	}
}

int main(void)
{
	struct timespec pause = { .tv_nsec = 100000000 };
	uint64_t tsc[2], ns[2];

	sample(&tsc[0], &ns[0]);
	nanosleep(&pause, NULL);
	sample(&tsc[1], &ns[1]);
	printf("%.0f\n", (tsc[1] - tsc[0]) * 1e6 / (ns[1] - ns[0]));
	return 0;
}
