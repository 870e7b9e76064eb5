/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * service-map: whether an endpoint is a protected service, and which. It is asked for both ends of
 * every packet.
 */
#ifndef CAPTURE_SERVICE_MAP_H
#define CAPTURE_SERVICE_MAP_H

#include "base/netaddr.h"

#define SERVICE_NONE    (-1)
#define SERVICE_ADDRESS (-2) /* private: the address is protected, but this port is not */

struct service_map {
	struct service_slot {
		struct endpoint at;
		int32_t service; /* SERVICE_NONE: the slot is free */
	} * slot;
	uint32_t mask;
	bool any_port; /* some service covers all ports of its address */
	bool one_port; /* some service is of one port */
};

/* Returns 0 or -ENOMEM. Of two equal services the first counts. */
int service_map_init(struct service_map *m, const struct endpoint *services, uint32_t count);
void service_map_deinit(struct service_map *m);
/*
 * Returns the index of the service, or SERVICE_NONE. A service with the port comes before one with
 * port 0.
 */
int32_t service_map_find(const struct service_map *m, const struct endpoint *e);
/* Whether any service has this address. */
bool service_map_has_address(const struct service_map *m, const struct netaddr *a);

#endif
