;; A backend without a toolchain's runtime, whose every artifact is empty: what a test puts in the
;; place of the words in capitals is all that it does besides.
(component
  (type $types (instance
    (type $error (variant
      (case "not-found") (case "already-exists") (case "condition-failed") (case "invalid-key" string)
      (case "invalid-range")
      (case "too-large" u64) (case "access-denied" string) (case "no-space" string)
      (case "corrupt" string) (case "unavailable" string) (case "unsupported" string)
      (case "other" string)))
    (export "error" (type (eq $error)))
  ))
  (import "artifact:storage/types@0.1.0" (instance $storage (type $types)))
  (alias export $storage "error" (type $error))

  (core module $module
    (memory $memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) REALLOC (i32.const 1024))
    ;; The result at address 0 is ok, and its list, if it has one, is empty.
    (func (export "put") (param i32 i32 i32 i32) (result i32) PUT (i32.const 0))
    (func (export "get") (param i32 i32) (result i32) GET (i32.const 0))
    (func (export "delete") (param i32 i32) (result i32) DELETE (i32.const 0))
    MODULE
  )
  (core instance $made (instantiate $module))
  (alias core export $made "memory" (core memory $memory))
  (alias core export $made "realloc" (core func $realloc))

  (func $put async (param "key" string) (param "data" (list u8)) (result (result (error $error)))
    (canon lift (core func $made "put") (memory $memory) (realloc $realloc)))
  (func $get async (param "key" string) (result (result (list u8) (error $error)))
    (canon lift (core func $made "get") (memory $memory) (realloc $realloc)))
  (func $delete async (param "key" string) (result (result (error $error)))
    (canon lift (core func $made "delete") (memory $memory) (realloc $realloc)))

  (component $interface
    (type $cases (variant
      (case "not-found") (case "already-exists") (case "condition-failed") (case "invalid-key" string)
      (case "invalid-range")
      (case "too-large" u64) (case "access-denied" string) (case "no-space" string)
      (case "corrupt" string) (case "unavailable" string) (case "unsupported" string)
      (case "other" string)))
    (import "error" (type $error (eq $cases)))
    (import "put" (func $put async (param "key" string) (param "data" (list u8))
      (result (result (error $error)))))
    (import "get" (func $get async (param "key" string) (result (result (list u8) (error $error)))))
    (import "delete" (func $delete async (param "key" string) (result (result (error $error)))))
    (export $exported "error" (type $error))
    (export "put" (func $put) (func async (param "key" string) (param "data" (list u8))
      (result (result (error $exported)))))
    (export "get" (func $get) (func async (param "key" string)
      (result (result (list u8) (error $exported)))))
    (export "delete" (func $delete) (func async (param "key" string)
      (result (result (error $exported)))))
  )
  (instance $store (instantiate $interface
    (with "error" (type $error))
    (with "put" (func $put))
    (with "get" (func $get))
    (with "delete" (func $delete))
  ))
  (export "artifact:storage/artifact-store@0.1.0" (instance $store))
)
