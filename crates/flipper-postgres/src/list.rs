//! Listings, page by page.

use std::collections::VecDeque;
use std::sync::Arc;

use flipper_core::{BoxStream, Listed, Page, Result};
use futures_lite::stream;
use tokio_postgres::types::Type;

use crate::error::Asked;
use crate::record;
use crate::shared::Shared;

/// How many records are asked for at once.
const PAGE: i64 = 1_000;

/// A listing that is under way. Each page begins behind the last name of the one before, so that nothing is left out while flags are deleted.
struct Listing {
    shared: Arc<Shared>,
    ready: VecDeque<Listed>,
    last: Option<String>,
    offset: i64,
    /// How many are still wanted.
    left: i64,
    is_over: bool,
}

pub(crate) fn list(shared: Arc<Shared>, page: Page) -> BoxStream<'static, Result<Listed>> {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let listing = Listing {
        shared,
        ready: VecDeque::new(),
        last: None,
        offset: number(page.offset),
        left: page.limit.map_or(i64::MAX, number),
        is_over: false,
    };
    Box::pin(stream::unfold(listing, async |mut listing| {
        if listing.ready.is_empty()
            && !listing.is_over
            && listing.left > 0
            && let Err(error) = listing.next_page().await
        {
            listing.is_over = true;
            return Some((Err(error), listing));
        }
        let listed = listing.ready.pop_front()?;
        Some((Ok(listed), listing))
    }))
}

impl Listing {
    async fn next_page(&mut self) -> Result<()> {
        let server = &self.shared.server;
        let limit = self.left.min(PAGE);
        let rows = match &self.last {
            None => {
                let both: &[_] = &[(&self.offset as _, Type::INT8), (&limit as _, Type::INT8)];
                server.ask(&server.statements.first_page, both, Asked::Read).await?
            }
            Some(last) => {
                let both: &[_] = &[(last as _, Type::VARCHAR), (&limit as _, Type::INT8)];
                server.ask(&server.statements.next_page, both, Asked::Read).await?
            }
        };
        self.is_over = (rows.len() as i64) < limit;
        self.left -= rows.len() as i64;
        self.ready = rows.iter().map(record::listed).collect::<Result<_>>()?;
        self.last = rows.last().map(|row| record::column(row, 0)).transpose()?;
        Ok(())
    }
}
