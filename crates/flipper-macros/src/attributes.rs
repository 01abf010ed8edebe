//! Reading the keys of attributes.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, ExprLit, Lit, Path};

/// Gathers errors, so that all of them are told at once.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Keeps what went well.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Puts the value of a key into its place, once.
pub(crate) fn set<T>(place: &mut Option<T>, key: &str, span: Span, value: T) -> syn::Result<()> {
    if place.is_some() {
        return Err(Error::new(span, format!("`{key}` is given twice")));
    }
    *place = Some(value);
    Ok(())
}

/// Reads the literal after a key, and tells what it should have been if it is another one.
pub(crate) fn literal<T>(
    meta: &ParseNestedMeta<'_>,
    should_be: &str,
    read: impl FnOnce(Lit) -> Option<T>,
) -> syn::Result<T> {
    let key = key(&meta.path);
    if !meta.input.peek(syn::Token![=]) {
        return Err(meta.error(format!("`{key}` needs a value: `{key} = {should_be}`")));
    }
    let value: Expr = meta.value()?.parse()?;
    let span = syn::spanned::Spanned::span(&value);
    let found = match ungrouped(&value) {
        Expr::Lit(ExprLit { lit, .. }) => read(lit.clone()),
        _ => None,
    };
    found.ok_or_else(|| Error::new(span, format!("this has to be a literal: `{key} = {should_be}`")))
}

/// What is within groups that nobody sees: those around what `macro_rules!` has put in.
pub(crate) fn ungrouped(expression: &Expr) -> &Expr {
    match expression {
        Expr::Group(group) => ungrouped(&group.expr),
        other => other,
    }
}

/// A key, to be shown.
pub(crate) fn key(path: &Path) -> String {
    path.get_ident().map(ToString::to_string).unwrap_or_default()
}

/// Reads `#[flags(crate = path)]`; `::flipper` unless it is there.
pub(crate) fn crate_path(attributes: &[Attribute]) -> syn::Result<Path> {
    let mut path = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("flags")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                let value = meta.value()?.call(Path::parse_mod_style)?;
                return set(&mut path, "crate", attribute.path().segments[0].ident.span(), value);
            }
            Err(meta.error("unknown key: `flags` knows `crate = path`"))
        })?;
    }
    Ok(path.unwrap_or_else(flipper))
}

/// The crate that has everything, unless told.
pub(crate) fn flipper() -> Path {
    syn::parse_quote!(::flipper)
}
