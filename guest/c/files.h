/* Artifacts as files: names, the format of one file, and how a file gets into its place. The format
 * is on one page, ../FORMAT.md. */
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bindings/backend.h"

/* The largest artifact, in bytes: what is handed over in memory has to fit there. */
#define IN_MEMORY ((uint64_t)64 << 20)

typedef artifact_storage_types_error_t error_t;

/* Each of these returns true, or false with the reason in `error`, whose strings are allocated. */

bool check_key(const backend_string_t *key, error_t *error);

bool store(const backend_string_t *key, const backend_list_u8_t *data, error_t *error);

/* Allocates what it puts into `data`. */
bool load(const backend_string_t *key, backend_list_u8_t *data, error_t *error);

bool erase(const backend_string_t *key, error_t *error);

#endif
