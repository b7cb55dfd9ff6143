#include "crc64.h"

/* Bit-reversed. */
static const uint64_t POLYNOMIAL = 0x9a6c9329ac4bc9b5;

uint64_t crc64(const uint8_t *data, size_t size) {
    static uint64_t table[256];
    if (table[1] == 0) {
        for (int byte = 0; byte < 256; byte++) {
            uint64_t crc = (uint64_t)byte;
            for (int bit = 0; bit < 8; bit++) {
                crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
            }
            table[byte] = crc;
        }
    }
    uint64_t crc = ~(uint64_t)0;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    }
    return ~crc;
}
