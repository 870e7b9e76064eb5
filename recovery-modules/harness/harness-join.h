/* SPDX-License-Identifier: GPL-3.0-or-later */
/* harness-join: a harness_resume(), the only user of these; harness.c is the live half. */
#ifndef SDK_HARNESS_JOIN_H
#define SDK_HARNESS_JOIN_H

#include "harness.h"

void harness_violation(struct harness *h, const char *what);
/* How long the next of @n bytes is. */
size_t harness_chunk(struct harness *h, const struct harness_chunks *c, size_t n);
/* The cut as plan and resume see it. */
void harness_set_cut(struct harness *h);

#endif
