/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "layer.h"

#include <stddef.h>

bool layer_can_be_inside(const struct jeebs_module *m)
{
	return !(m->flags & (JEEBS_MODULE_LAYER | JEEBS_MODULE_LAYERED));
}

bool layer_compose(const struct jeebs_module *layer, const struct jeebs_module *inner,
		   const struct jeebs_module *h2, const char *name, struct jeebs_module *ret)
{
	uint32_t inside = inner->state_size;

	if (!(layer->flags & JEEBS_MODULE_LAYER) || !layer_can_be_inside(inner) ||
	    (h2 && !layer_can_be_inside(h2)) || layer->state_size % _Alignof(max_align_t) != 0)
		return false;
	if (h2 && h2->state_size > inside)
		inside = h2->state_size;
	*ret = *layer;
	ret->name = name;
	ret->state_size = layer->state_size + inside;
	ret->flags = JEEBS_MODULE_LAYERED;
	/* The conversation's other connections are the inner one's, in the layer or not. */
	ret->companion = inner->companion;
	/* First bytes are the layer's, and ports those of whoever configures it. */
	ret->detect = NULL;
	ret->ports = NULL;
	ret->upgrade = NULL;
	ret->tls_ports = NULL;
	ret->alpn = NULL;
	return true;
}

bool layer_compose_any(const struct jeebs_module *layer, const struct jeebs_module *const *inner,
		       const char *name, struct jeebs_module *ret)
{
	struct jeebs_module largest = {.state_size = 0};

	for (; *inner; inner++) {
		if (!layer_can_be_inside(*inner))
			return false;
		if ((*inner)->state_size > largest.state_size)
			largest.state_size = (*inner)->state_size;
		if (!largest.companion)
			largest.companion = (*inner)->companion;
	}
	if (!layer_compose(layer, &largest, NULL, name, ret))
		return false;
	ret->detect = layer->detect;
	return true;
}
