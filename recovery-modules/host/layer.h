/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * layer: one module made of two: a layer (JEEBS_MODULE_LAYER), and the module of what is inside.
 * Whoever watches, plans, joins or drills sees one module.
 */
#ifndef SDK_LAYER_H
#define SDK_LAYER_H

#include <stdbool.h>

#include "jeebs/recovery-module.h"

/*
 * Writes the module to @ret; @name, which becomes its name, must outlive it. It must be opened with
 * jeebs_service.inner = @inner and inner_h2 = @h2, which may be NULL. It has @inner's companion;
 * of the companion's connections the layer sees through those whose module is composed with it,
 * too. False: @layer is none, or one of the others is one.
 */
bool layer_compose(const struct jeebs_module *layer, const struct jeebs_module *inner,
		   const struct jeebs_module *h2, const char *name, struct jeebs_module *ret);

/* Whether @m may be inside a layer. */
bool layer_can_be_inside(const struct jeebs_module *m);
/*
 * The same of a layer whose inside is found out (jeebs_service.inner_any): @inner, NULL behind the
 * last. It can be detected.
 */
bool layer_compose_any(const struct jeebs_module *layer, const struct jeebs_module *const *inner,
		       const char *name, struct jeebs_module *ret);

#endif
