;; What `bare.wat` lacks to describe settings: its module exports `describe` and `check`.

  (type $a-setting (record
    (field "name" string) (field "description" string) (field "required" bool)
    (field "secret" bool) (field "default" (option string))))
  (type $a-problem (record (field "name" string) (field "reason" string)))
  (func $describe async (result (list $a-setting))
    (canon lift (core func $made "describe") (memory $memory) (realloc $realloc)))
  (func $check async (result (result (error (list $a-problem))))
    (canon lift (core func $made "check") (memory $memory) (realloc $realloc)))
  (component $settings-interface
    (type $setting-is (record
      (field "name" string) (field "description" string) (field "required" bool)
      (field "secret" bool) (field "default" (option string))))
    (type $problem-is (record (field "name" string) (field "reason" string)))
    (import "setting" (type $setting (eq $setting-is)))
    (import "problem" (type $problem (eq $problem-is)))
    (import "describe-settings" (func $describe async (result (list $setting))))
    (import "check-settings" (func $check async (result (result (error (list $problem))))))
    (export $setting-out "setting" (type $setting))
    (export $problem-out "problem" (type $problem))
    (export "describe-settings" (func $describe) (func async (result (list $setting-out))))
    (export "check-settings" (func $check)
      (func async (result (result (error (list $problem-out))))))
  )
  (instance $settings (instantiate $settings-interface
    (with "setting" (type $a-setting))
    (with "problem" (type $a-problem))
    (with "describe-settings" (func $describe))
    (with "check-settings" (func $check))
  ))
  (export "artifact:storage/settings@0.1.0" (instance $settings))
