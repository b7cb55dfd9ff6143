#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc64.h"
#include "sha256.h"

#define MAX_KEY 1024

/* Magic, size and checksum of the payload, version, lengths of the key and of the attributes; these
 * two and the payload follow. */
#define HEADER 48
#define VERSION 16
static const char MAGIC[] = "artifac1";

/* "/82" and "/82/8254…", or "/82/tmp-…". */
typedef struct {
    char directory[4];
    char file[4 + 1 + 64 + 1];
} place_t;

/* Errors. */

static bool fail(error_t *error, uint8_t tag, const char *path, const char *why) {
    char text[256];
    snprintf(text, sizeof text, "`%s`: %s", path, why);
    error->tag = tag;
    /* All cases that have a string keep it in the same place. */
    backend_string_dup(&error->val.other, text);
    return false;
}

static bool fail_plainly(error_t *error, uint8_t tag) {
    error->tag = tag;
    return false;
}

/* The one place where an error of the system becomes a case of the contract. */
static bool fail_by_errno(error_t *error, const char *path) {
    const char *why = strerror(errno);
    switch (errno) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTCAPABLE:
        return fail(error, ARTIFACT_STORAGE_TYPES_ERROR_ACCESS_DENIED, path, why);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
        return fail(error, ARTIFACT_STORAGE_TYPES_ERROR_NO_SPACE, path, why);
    case ELOOP:
    case EISDIR:
    case ENOTDIR:
    case EEXIST:
        return fail(error, ARTIFACT_STORAGE_TYPES_ERROR_CORRUPT, path, why);
    case ENOENT: /* Somebody took away what was just made. */
    case EBUSY:
    case EAGAIN:
    case EINTR:
    case ETXTBSY:
        return fail(error, ARTIFACT_STORAGE_TYPES_ERROR_UNAVAILABLE, path, why);
    default:
        return fail(error, ARTIFACT_STORAGE_TYPES_ERROR_OTHER, path, why);
    }
}

static bool corrupt(error_t *error, const char *path, const char *why) {
    return fail(error, ARTIFACT_STORAGE_TYPES_ERROR_CORRUPT, path, why);
}

/* Tells a store in which something is absent from one that cannot be looked at. */
static bool check_root(error_t *error) {
    struct stat status;
    if (stat("/", &status) == 0) {
        return true;
    }
    return fail(error, ARTIFACT_STORAGE_TYPES_ERROR_ACCESS_DENIED, "/", "no directory is granted");
}

/* Keys and names. */

bool check_key(const backend_string_t *key, error_t *error) {
    const char *why = NULL;
    if (key->len < 1 || key->len > MAX_KEY) {
        why = "a key has 1 to 1024 bytes";
    }
    for (size_t i = 0; why == NULL && i < key->len; i++) {
        uint8_t byte = key->ptr[i];
        /* U+0080 to U+009F are 0xC2 and the very byte in UTF-8. */
        bool second = byte >= 0x80 && byte <= 0x9f && i > 0 && key->ptr[i - 1] == 0xc2;
        if (byte < 0x20 || byte == 0x7f || second) {
            why = "a key has no control characters";
        }
    }
    if (why == NULL) {
        return true;
    }
    error->tag = ARTIFACT_STORAGE_TYPES_ERROR_INVALID_KEY;
    backend_string_dup(&error->val.invalid_key, why);
    return false;
}

static void write_hex(const uint8_t *bytes, size_t count, char *text) {
    for (size_t i = 0; i < count; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* The name has one length and one letter case, and is another one for every key. It lies in one of
 * 256 directories, so that none becomes very large. */
static place_t place_of(const backend_string_t *key) {
    uint8_t digest[32];
    char name[65];
    place_t place;
    sha256(key->ptr, key->len, digest);
    write_hex(digest, sizeof digest, name);
    snprintf(place.directory, sizeof place.directory, "/%.2s", name);
    snprintf(place.file, sizeof place.file, "%s/%s", place.directory, name);
    return place;
}

/* The version of a new generation, which also names its temporary. Random, since other instances and
 * processes are at work beside this one. */
static bool temporary_beside(const place_t *place, uint8_t version[VERSION], place_t *temporary,
                             error_t *error) {
    char unique[2 * VERSION + 1];
    if (getentropy(version, VERSION) != 0) {
        return fail_by_errno(error, place->directory);
    }
    write_hex(version, VERSION, unique);
    *temporary = *place;
    snprintf(temporary->file, sizeof temporary->file, "%s/tmp-%s", place->directory, unique);
    return true;
}

/* Bytes. */

static void put_number(uint8_t *at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_number(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        value = value << 8 | at[i];
    }
    return value;
}

static bool write_all(int file, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        ssize_t written = write(file, bytes, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return false;
        }
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

/* Reads `size` bytes; -1 is an error, and less is the end of the file. */
static ssize_t read_all(int file, uint8_t *bytes, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(file, bytes + done, size - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Changes. */

static bool sync_below(wasi_filesystem_types_borrow_descriptor_t root, const char *name) {
    wasi_filesystem_types_error_code_t code;
    if (name[0] == '\0') {
        return wasi_filesystem_types_method_descriptor_sync(root, &code);
    }
    backend_string_t path;
    backend_string_set(&path, name);
    wasi_filesystem_types_own_descriptor_t directory;
    if (!wasi_filesystem_types_method_descriptor_open_at(
            root, 0, &path, WASI_FILESYSTEM_TYPES_OPEN_FLAGS_DIRECTORY,
            WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_READ, &directory, &code)) {
        return false;
    }
    wasi_filesystem_types_borrow_descriptor_t borrowed =
        wasi_filesystem_types_borrow_descriptor(directory);
    bool synced = wasi_filesystem_types_method_descriptor_sync(borrowed, &code);
    wasi_filesystem_types_descriptor_drop_own(directory);
    return synced;
}

/* Syncs a directory below the granted one, or that one itself where `name` is empty. Directly by
 * WASI: the layer between C's library and WASI 0.2 takes only files for `fsync`. */
static bool sync_directory(const char *name) {
    wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t granted;
    wasi_filesystem_preopens_get_directories(&granted);
    bool synced = false;
    for (size_t i = 0; i < granted.len; i++) {
        backend_string_t *path = &granted.ptr[i].f1;
        if (!synced && path->len == 1 && path->ptr[0] == '/') {
            synced = sync_below(wasi_filesystem_types_borrow_descriptor(granted.ptr[i].f0), name);
        }
        /* Freeing the list leaves its handles open. */
        wasi_filesystem_types_descriptor_drop_own(granted.ptr[i].f0);
    }
    wasi_filesystem_preopens_list_tuple2_own_descriptor_string_free(&granted);
    return synced;
}

/* Makes a change durable that can be seen already: the directory, and the root, since the directory
 * may be new, whoever made it. Where this fails the outcome is open: a crash may still undo the
 * change. */
static bool sync_change(const place_t *place, error_t *error) {
    if (sync_directory(place->directory + 1) && sync_directory("")) {
        return true;
    }
    return fail(error, ARTIFACT_STORAGE_TYPES_ERROR_UNAVAILABLE, place->file,
                "the change may not be durable");
}

/* Writes an artifact where nobody looks, and makes it durable there. It has no attributes: only
 * `streams` can store some. */
static bool fill(int file, const uint8_t version[VERSION], const backend_string_t *key,
                 const backend_list_u8_t *data) {
    uint8_t head[HEADER];
    memcpy(head, MAGIC, 8);
    put_number(head + 8, data->len, 8);
    put_number(head + 16, crc64(data->ptr, data->len), 8);
    memcpy(head + 24, version, VERSION);
    put_number(head + 40, key->len, 4);
    put_number(head + 44, 0, 4);
    return write_all(file, head, sizeof head) && write_all(file, key->ptr, key->len) &&
           write_all(file, data->ptr, data->len) && fsync(file) == 0;
}

bool store(const backend_string_t *key, const backend_list_u8_t *data, error_t *error) {
    if (data->len > IN_MEMORY) {
        error->val.too_large = IN_MEMORY;
        return fail_plainly(error, ARTIFACT_STORAGE_TYPES_ERROR_TOO_LARGE);
    }
    place_t place = place_of(key), temporary;
    uint8_t version[VERSION];
    if (!check_root(error) || !temporary_beside(&place, version, &temporary, error)) {
        return false;
    }
    if (mkdir(place.directory, 0777) != 0 && errno != EEXIST) {
        return fail_by_errno(error, place.directory);
    }
    int file = open(temporary.file, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (file < 0) {
        return fail_by_errno(error, temporary.file);
    }
    bool done = fill(file, version, key, data) || fail_by_errno(error, temporary.file);
    if (close(file) != 0 && done) {
        done = fail_by_errno(error, temporary.file);
    }
    /* Visible in one step. */
    if (done && rename(temporary.file, place.file) != 0) {
        done = fail_by_errno(error, place.file);
    }
    if (!done) {
        /* Where this fails too it stays as litter, which nobody sees. */
        unlink(temporary.file);
        return false;
    }
    return sync_change(&place, error);
}

bool erase(const backend_string_t *key, error_t *error) {
    place_t place = place_of(key);
    if (unlink(place.file) != 0) {
        if (errno != ENOENT) {
            return fail_by_errno(error, place.file);
        }
        if (!check_root(error)) {
            return false;
        }
        struct stat status;
        if (stat(place.directory, &status) != 0 && errno == ENOENT) {
            return true;
        }
    }
    /* Also where there was none: an earlier removal may not be durable yet. */
    return sync_change(&place, error);
}

/* Reading. */

/* Checks what the file states before its payload, and goes there. The attributes are skipped: only
 * the other interfaces hand them out. */
static bool check_head(int file, const backend_string_t *key, const char *path, uint64_t *size,
                       uint64_t *checksum, error_t *error) {
    struct stat status;
    if (fstat(file, &status) != 0) {
        return fail_by_errno(error, path);
    }
    if (!S_ISREG(status.st_mode)) {
        return corrupt(error, path, "it is no regular file");
    }
    uint8_t head[HEADER + MAX_KEY];
    size_t expected = HEADER + key->len;
    ssize_t got = read_all(file, head, expected);
    if (got < 0) {
        return fail_by_errno(error, path);
    }
    if (got < HEADER || memcmp(head, MAGIC, 8) != 0) {
        return corrupt(error, path, "it does not begin like an artifact");
    }
    if ((size_t)got < expected || get_number(head + 40, 4) != key->len ||
        memcmp(head + HEADER, key->ptr, key->len) != 0) {
        return corrupt(error, path, "it holds another key");
    }
    *size = get_number(head + 8, 8);
    *checksum = get_number(head + 16, 8);
    uint64_t whole = (uint64_t)status.st_size, start = expected + get_number(head + 44, 4);
    if (start > whole || whole - start != *size) {
        return corrupt(error, path, "it has another size than it states");
    }
    return lseek(file, (off_t)start, SEEK_SET) >= 0 || fail_by_errno(error, path);
}

static bool load_from(int file, const backend_string_t *key, const char *path,
                      backend_list_u8_t *data, error_t *error) {
    uint64_t size, checksum;
    if (!check_head(file, key, path, &size, &checksum, error)) {
        return false;
    }
    if (size > IN_MEMORY) {
        error->val.too_large = IN_MEMORY;
        return fail_plainly(error, ARTIFACT_STORAGE_TYPES_ERROR_TOO_LARGE);
    }
    data->len = (size_t)size;
    data->ptr = size == 0 ? NULL : malloc(data->len);
    if (data->ptr == NULL && size > 0) {
        return fail(error, ARTIFACT_STORAGE_TYPES_ERROR_OTHER, path, "no memory for it");
    }
    ssize_t got = read_all(file, data->ptr, data->len);
    if (got >= 0 && (size_t)got == data->len && crc64(data->ptr, data->len) == checksum) {
        return true;
    }
    free(data->ptr);
    return got < 0 ? fail_by_errno(error, path)
                   : corrupt(error, path, "it does not match its checksum");
}

bool load(const backend_string_t *key, backend_list_u8_t *data, error_t *error) {
    place_t place = place_of(key);
    /* A link is not followed. */
    int file = open(place.file, O_RDONLY | O_NOFOLLOW);
    if (file < 0 && errno == ENOENT) {
        return check_root(error) &&
               fail_plainly(error, ARTIFACT_STORAGE_TYPES_ERROR_NOT_FOUND);
    }
    if (file < 0) {
        return fail_by_errno(error, place.file);
    }
    bool loaded = load_from(file, key, place.file, data, error);
    close(file);
    return loaded;
}
