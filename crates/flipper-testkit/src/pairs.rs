//! As few combinations as have every pair.

/// Rows of `columns` values, in which any two columns have all four pairs of values somewhere. The first row is all
/// `false`, one is all `true`, and without the latter there could not be fewer rows.
pub(crate) fn pairwise(columns: usize) -> Vec<Vec<bool>> {
    let mut rows = if columns <= 2 { all(columns) } else { covering(columns) };
    if !rows.iter().any(|row| row.iter().all(|value| *value)) {
        rows.push(vec![true; columns]);
    }
    rows
}

/// All rows there are, from all `false` to all `true`.
pub(crate) fn all(columns: usize) -> Vec<Vec<bool>> {
    (0..1_u32 << columns).map(|bits| (0..columns).map(|column| bits >> column & 1 == 1).collect()).collect()
}

/// The construction of Kleitman and Spencer (1973).
///
/// A column is `true` in half of the rows, rounded up, never in the first, and no two columns in the same ones. As they are as
/// often `true`, each of two is so somewhere without the other; both are `false` in the first row; and as together they are
/// more often `true` than there are rows but the first, they are so at once somewhere.
fn covering(columns: usize) -> Vec<Vec<bool>> {
    let mut rows = 4;
    while choose(rows - 1, rows.div_ceil(2)) < columns {
        rows += 1;
    }
    // Which rows, of those after the first, are `true` in a column: the first choice, and then one after the other.
    let mut choice: Vec<usize> = (1..=rows.div_ceil(2)).collect();
    let mut choices = Vec::with_capacity(columns);
    for _ in 0..columns {
        choices.push(choice.clone());
        advance(&mut choice, rows - 1);
    }
    (0..rows).map(|row| choices.iter().map(|choice| choice.contains(&row)).collect()).collect()
}

/// Makes the next ascending choice of numbers up to `last`.
fn advance(choice: &mut [usize], last: usize) {
    let len = choice.len();
    let Some(at) = (0..len).rev().find(|at| choice[*at] < last + 1 + at - len) else { return };
    let start = choice[at] + 1;
    choice[at..].iter_mut().zip(start..).for_each(|(number, next)| *number = next);
}

/// How many choices there are of so many out of `from`; far more than enough if it is large.
fn choose(from: usize, many: usize) -> usize {
    (0..many)
        .try_fold(1_usize, |choices, at| Some(choices.checked_mul(from - at)? / (at + 1)))
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn any_two_columns_have_all_four_pairs() {
        for columns in (1..=40).chain([56, 57, 126, 140, 200]) {
            let rows = pairwise(columns);
            assert!(rows.iter().all(|row| row.len() == columns));
            for a in 0..columns {
                for b in 0..a {
                    let pairs: HashSet<_> = rows.iter().map(|row| (row[a], row[b])).collect();
                    assert_eq!(pairs.len(), 4, "columns {a} and {b} of {columns}");
                }
            }
            assert_eq!(rows.first(), Some(&vec![false; columns]));
            assert!(rows.contains(&vec![true; columns]));
            assert_eq!(
                rows.iter().collect::<HashSet<_>>().len(),
                rows.len(),
                "{columns}: no row is there twice"
            );
        }
    }

    #[test]
    fn there_are_as_few_rows_as_can_be() {
        // What the theorem says, and at most one more for the row that is all `true`.
        for (columns, fewest) in
            [(3, 4), (4, 5), (5, 6), (10, 6), (11, 7), (15, 7), (16, 8), (35, 8), (56, 9), (126, 10)]
        {
            assert_eq!(covering(columns).len(), fewest, "{columns} columns");
            assert!(pairwise(columns).len() <= fewest + 1);
        }
        assert_eq!((pairwise(1).len(), pairwise(2).len()), (2, 4));
    }

    #[test]
    fn all_rows_are_all_that_there_are() {
        for columns in 1..=6 {
            let rows: HashSet<_> = all(columns).into_iter().collect();
            assert_eq!(rows.len(), 1 << columns);
        }
    }

    #[test]
    fn choices_are_counted_without_an_overflow() {
        assert_eq!((choose(5, 3), choose(9, 5), choose(3, 3), choose(3, 0)), (10, 126, 1, 1));
        assert_eq!(choose(200, 100), usize::MAX);
    }
}
