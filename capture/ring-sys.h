/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ring-sys: the socket calls of ring, one step each, to be replaced by tests at
 * link time. Private to ring. All return 0 or negative errno.
 */
#ifndef CAPTURE_RING_SYS_H
#define CAPTURE_RING_SYS_H

#include <stddef.h>
#include <stdint.h>

/* Result of getsockopt(PACKET_STATISTICS), which resets the counters with each call. */
struct ring_sys_counters {
	uint32_t packets, drops, freezes; /* packets includes drops */
};

/* Makes a packet socket that receives nothing yet. Returns the descriptor. */
int ring_sys_socket(void);
/* The index of an Ethernet interface. -EPFNOSUPPORT: its frames have another link header. */
int ring_sys_interface(int fd, const char *name, int *ret_index);
int ring_sys_setup(int fd, size_t block_bytes, uint32_t block_count, uint32_t retire_ms);
struct sock_filter;
int ring_sys_filter(int fd, struct sock_filter *instructions, uint16_t count);
int ring_sys_ignore_outgoing(int fd);
int ring_sys_map(int fd, size_t bytes, uint8_t **ret);
int ring_sys_promiscuous(int fd, int index);
/* From here on packets arrive. */
int ring_sys_bind(int fd, int index);
/* Must come after bind. */
int ring_sys_fanout(int fd, uint16_t group);

int ring_sys_counters(int fd, struct ring_sys_counters *ret);
/* Returns the error pending on the socket (-ENETDOWN ...), which that clears. */
int ring_sys_error(int fd);
void ring_sys_unmap(uint8_t *map, size_t bytes);
void ring_sys_close(int fd);

#endif
