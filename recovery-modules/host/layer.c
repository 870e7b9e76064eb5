/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "layer.h"

#include <stddef.h>

bool layer_compose(const struct jeebs_module *layer, const struct jeebs_module *inner,
		   const char *name, struct jeebs_module *ret)
{
	if (!(layer->flags & JEEBS_MODULE_LAYER) || (inner->flags & JEEBS_MODULE_LAYER) ||
	    inner->companion || layer->state_size % _Alignof(max_align_t) != 0)
		return false;
	*ret = *layer;
	ret->name = name;
	ret->state_size = layer->state_size + inner->state_size;
	ret->flags = 0;
	/* First bytes are the layer's, and ports those of whoever configures it. */
	ret->detect = NULL;
	ret->ports = NULL;
	return true;
}
