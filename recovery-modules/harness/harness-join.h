/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * harness-join: one harness_resume(). Declares what it needs of harness.c, which has the live half.
 */
#ifndef SDK_HARNESS_JOIN_H
#define SDK_HARNESS_JOIN_H

#include "harness.h"

void harness_violation(struct harness *h, const char *what);
/* The length of the next chunk of @n bytes. */
size_t harness_chunk(struct harness *h, const struct harness_chunks *c, size_t n);
/* Fills in the cut for plan and resume. */
void harness_set_cut(struct harness *h);

#endif
