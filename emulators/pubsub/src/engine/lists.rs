//! Paging of lists: in order of name, the token being the last name of the page before.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::limits;
use crate::texts::Error;

pub struct Page {
    pub ids: Vec<u64>,
    /// Empty on the last page.
    pub next: String,
}

/// The same for things that are not kept by id.
pub struct PageOf<T> {
    pub items: Vec<T>,
    /// Empty on the last page.
    pub next: String,
}

/// The page of `all`, names ascending, that follows `token`. A size of 0 is the default; larger ones
/// than the maximum are cut to it.
pub fn page<'a>(all: impl Iterator<Item = (&'a String, &'a u64)>, size: i32, token: &str) -> Result<Page, Error> {
    let page = page_of(all, size, token)?;
    Ok(Page { ids: page.items.into_iter().copied().collect(), next: page.next })
}

/// The same for anything that has a name.
pub fn page_of<'a, T>(all: impl Iterator<Item = (&'a String, T)>, size: i32, token: &str) -> Result<PageOf<T>, Error> {
    let size = match usize::try_from(size) {
        Ok(0) => limits::PAGE,
        Ok(size) => size.min(limits::MAX_PAGE),
        Err(_) => return Err(Error::BadArgument("page_size")),
    };
    let after = if token.is_empty() { None } else { Some(read(token).ok_or(Error::BadPageToken)?) };
    let mut rest = all.filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after)).peekable();
    let mut items = Vec::new();
    let mut last = None;
    while items.len() < size
        && let Some((name, item)) = rest.next()
    {
        items.push(item);
        last = Some(name);
    }
    let next = match (rest.peek(), last) {
        (Some(_), Some(last)) => URL_SAFE_NO_PAD.encode(last),
        _ => String::new(),
    };
    Ok(PageOf { items, next })
}

fn read(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_add_up_to_the_list() {
        let names: Vec<String> = (0..7).map(|n| format!("n{n}")).collect();
        let ids: Vec<u64> = (0..7).collect();
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = page(names.iter().zip(&ids), 3, &token).expect("a page");
            seen.extend(page.ids);
            token = page.next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, ids);
        assert!(matches!(page(names.iter().zip(&ids), -1, ""), Err(Error::BadArgument("page_size"))));
        assert!(matches!(page(names.iter().zip(&ids), 1, "%"), Err(Error::BadPageToken)));
    }
}
