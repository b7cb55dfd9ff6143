//! Listings in the order of the keys, and of one folder.

use artifact_store::{ArtifactStore, ListOptions, ListPage};
use async_trait::async_trait;
use futures::stream::{self, Stream};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::{DELIMITER, Path};
use object_store::{ListResult, ObjectMeta, Result};

use crate::error::{failed, generic};
use crate::{ArtifactObjectStore, meta};

/// What the keys below `prefix` begin with.
pub(crate) fn folder(prefix: Option<&Path>) -> String {
    match prefix {
        Some(path) if !path.is_root() => format!("{path}{DELIMITER}"),
        _ => String::new(),
    }
}

/// All pages, from the first one that `options` describe on.
pub(crate) fn pages(
    store: &ArtifactStore,
    prefix: String,
    options: ListOptions,
) -> impl Stream<Item = Result<ListPage>> + use<> {
    let store = store.clone();
    stream::try_unfold(Some(options), move |options| {
        let (store, prefix) = (store.clone(), prefix.clone());
        async move {
            let Some(options) = options else { return Ok(None) };
            let page = store.list_page(&prefix, options.clone()).await.map_err(failed)?;
            let rest = page.next.clone().map(|next| options.start_after(next));
            Ok(Some((page, rest)))
        }
    })
}

/// The objects of a page: its artifacts whose keys are paths.
pub(crate) fn objects(page: &ListPage) -> Vec<ObjectMeta> {
    page.entries.iter().filter_map(meta::of_entry).collect()
}

/// All that these pages have, without what is no path.
pub(crate) fn list_result(pages: &[ListPage]) -> ListResult {
    let folder = |name: &String| meta::path(name.strip_suffix(DELIMITER).unwrap_or(name));
    ListResult {
        common_prefixes: pages.iter().flat_map(|page| &page.prefixes).filter_map(folder).collect(),
        objects: pages.iter().flat_map(objects).collect(),
        extensions: Default::default(),
    }
}

#[async_trait]
impl PaginatedListStore for ArtifactObjectStore {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        let PaginatedListOptions { offset, delimiter, max_keys, page_token, extensions: _ } =
            options;
        if max_keys == Some(0) {
            return Err(generic("pages of 0 keys have no end"));
        }
        let options = ListOptions::default()
            .delimiter(delimiter.map(String::from))
            // The token is where the last page ended.
            .start_after(page_token.max(offset))
            .limit(max_keys);
        let page = self.store.list_page(prefix.unwrap_or_default(), options).await;
        let page = page.map_err(failed)?;
        let result = list_result(std::slice::from_ref(&page));
        Ok(PaginatedListResult { result, page_token: page.next })
    }
}
