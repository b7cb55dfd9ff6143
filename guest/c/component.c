/* The exported functions: the contract in terms of `files.h`.
 *
 * Each is an async function of the component model that does all its work before it returns: it
 * hands over the answer with `…_return` and is then at its end, so that its callback is never
 * called. What came as an argument is ours to free. */

#include <stdlib.h>

#include "files.h"

typedef exports_artifact_storage_artifact_store_result_void_error_t done_t;
typedef exports_artifact_storage_artifact_store_result_list_u8_error_t loaded_t;

backend_callback_code_t exports_artifact_storage_artifact_store_put(backend_string_t *key,
                                                                    backend_list_u8_t *data) {
    done_t done = {0};
    done.is_err = !check_key(key, &done.val.err) || !store(key, data, &done.val.err);
    backend_string_free(key);
    backend_list_u8_free(data);
    exports_artifact_storage_artifact_store_put_return(done);
    exports_artifact_storage_artifact_store_result_void_error_free(&done);
    return BACKEND_CALLBACK_CODE_EXIT;
}

backend_callback_code_t exports_artifact_storage_artifact_store_get(backend_string_t *key) {
    loaded_t loaded = {0};
    backend_list_u8_t data;
    error_t error;
    if (check_key(key, &error) && load(key, &data, &error)) {
        loaded.val.ok = data;
    } else {
        loaded.is_err = true;
        loaded.val.err = error;
    }
    backend_string_free(key);
    exports_artifact_storage_artifact_store_get_return(loaded);
    exports_artifact_storage_artifact_store_result_list_u8_error_free(&loaded);
    return BACKEND_CALLBACK_CODE_EXIT;
}

backend_callback_code_t exports_artifact_storage_artifact_store_delete(backend_string_t *key) {
    done_t done = {0};
    done.is_err = !check_key(key, &done.val.err) || !erase(key, &done.val.err);
    backend_string_free(key);
    exports_artifact_storage_artifact_store_delete_return(done);
    exports_artifact_storage_artifact_store_result_void_error_free(&done);
    return BACKEND_CALLBACK_CODE_EXIT;
}

backend_callback_code_t
exports_artifact_storage_artifact_store_put_callback(backend_event_t *event) {
    (void)event;
    abort();
}

backend_callback_code_t
exports_artifact_storage_artifact_store_get_callback(backend_event_t *event) {
    (void)event;
    abort();
}

backend_callback_code_t
exports_artifact_storage_artifact_store_delete_callback(backend_event_t *event) {
    (void)event;
    abort();
}
