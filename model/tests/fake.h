/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stands in for the model behind system.h: writes what it is told to a log, and walks the guest's
 * tables for as many of the accesses as it is asked to, as a model with TLBs of some size would.
 */
#ifndef MODEL_TESTS_FAKE_H
#define MODEL_TESTS_FAKE_H

#include "system.h"

/* Walk for one of so many accesses; 0: for none. */
struct system *fake_new(const struct guest *guest, FILE *log, unsigned int walk_every);

#endif
