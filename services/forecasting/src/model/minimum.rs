//! Nelder and Mead's simplex search: no derivatives, few dimensions, bounded work.

/// Finds a low point of `cost` in the unit box near `start`; never returns anything worse than `start`.
pub(super) fn minimise<const N: usize>(
    start: [f64; N],
    budget: usize,
    mut cost: impl FnMut(&[f64; N]) -> f64,
) -> ([f64; N], f64) {
    let mut evaluate = |mut point: [f64; N]| {
        for x in &mut point {
            *x = x.clamp(0.0, 1.0);
        }
        let value = cost(&point);
        (point, if value.is_nan() { f64::INFINITY } else { value })
    };
    let mut simplex = vec![evaluate(start)];
    for axis in 0..N {
        let mut corner = start;
        corner[axis] += if start[axis] > 0.5 { -0.25 } else { 0.25 };
        simplex.push(evaluate(corner));
    }
    let mut spent = N + 1;
    while spent < budget {
        simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (best, worst) = (simplex[0].1, simplex[N].1);
        if worst - best <= 1e-6 * best.abs() {
            break;
        }
        let centre: [f64; N] =
            std::array::from_fn(|i| simplex[..N].iter().map(|p| p.0[i]).sum::<f64>() / N as f64);
        let towards = |factor: f64| {
            std::array::from_fn(|i| centre[i] + factor * (simplex[N].0[i] - centre[i]))
        };
        let reflected = evaluate(towards(-1.0));
        spent += 1;
        let second_worst = simplex[N - 1].1;
        if reflected.1 < best {
            let expanded = evaluate(towards(-2.0));
            spent += 1;
            simplex[N] = if expanded.1 < reflected.1 {
                expanded
            } else {
                reflected
            };
        } else if reflected.1 < second_worst {
            simplex[N] = reflected;
        } else {
            let contracted = evaluate(towards(if reflected.1 < worst { -0.5 } else { 0.5 }));
            spent += 1;
            if contracted.1 < worst.min(reflected.1) {
                simplex[N] = contracted;
            } else {
                let anchor = simplex[0].0;
                for corner in &mut simplex[1..] {
                    *corner = evaluate(std::array::from_fn(|i| 0.5 * (corner.0[i] + anchor[i])));
                }
                spent += N;
            }
        }
    }
    simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
    simplex[0]
}

#[cfg(test)]
mod tests {
    use super::minimise;

    #[test]
    fn finds_the_bottom_of_a_bowl() {
        let (point, value) = minimise([0.9, 0.1], 300, |[x, y]| {
            (x - 0.3).powi(2) + 2.0 * (y - 0.6).powi(2)
        });
        assert!(
            (point[0] - 0.3).abs() < 0.01 && (point[1] - 0.6).abs() < 0.01,
            "{point:?}"
        );
        assert!(value < 1e-3);
    }

    #[test]
    fn a_cost_that_is_not_a_number_is_avoided() {
        let (point, value) = minimise([0.5], 100, |[x]| if *x > 0.6 { f64::NAN } else { -x });
        assert!(value.is_finite() && point[0] <= 0.6);
    }
}
