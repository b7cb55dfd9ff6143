//! What `object_store` asks of every store: the functions of its `integration` module.

/// Hands the functions to the macro `$asks`: those that take a store and these arguments, and those
/// that take it as two of its traits.
macro_rules! all {
    ($asks:ident) => {
        $asks! {
            put_get_delete_list();
            put_get_attributes();
            get_opts();
            put_opts(true);
            stream_get();
            list_uses_directories_correctly();
            list_with_delimiter();
            list_with_offset_exclusivity();
            rename_and_copy();
            copy_if_not_exists();
            copy_rename_nonexistent_object();
            multipart_out_of_order();
            multipart_race_condition(true);
        }
        $asks! { both
            multipart;
            multipart_with_opts;
            multipart_put_part_out_of_order;
            list_paginated;
        }
    };
}
