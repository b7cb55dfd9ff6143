/* CRC-64/NVME, the checksum of the contract (`info.checksum` in wit/types.wit). */
#ifndef CRC64_H
#define CRC64_H

#include <stddef.h>
#include <stdint.h>

uint64_t crc64(const uint8_t *data, size_t size);

#endif
