//! The loops over keys in wasm's vectors of four. The module is compiled as a whole or not at all, so the
//! feature can be taken for granted wherever this runs.

use core::arch::wasm32::*;

/// Sixteen keys in four vectors.
#[target_feature(enable = "simd128")]
fn four(keys: &[u32; 16]) -> [v128; 4] {
    let first = keys.as_ptr().cast::<v128>();
    // SAFETY: sixteen keys are four vectors, and loads need no alignment.
    unsafe { [v128_load(first), v128_load(first.add(1)), v128_load(first.add(2)), v128_load(first.add(3))] }
}

#[target_feature(enable = "simd128")]
fn lanes(v: v128) -> [u32; 4] {
    [
        u32x4_extract_lane::<0>(v),
        u32x4_extract_lane::<1>(v),
        u32x4_extract_lane::<2>(v),
        u32x4_extract_lane::<3>(v),
    ]
}

/// Turns loads into keys, as far as there are weights.
#[target_feature(enable = "simd128")]
pub(super) fn weigh(loads: &mut [u32], weights: &[f32]) {
    let length = loads.len().min(weights.len());
    let (fours, rest) = loads[..length].as_chunks_mut::<4>();
    let (weights, rest_weights) = weights[..length].as_chunks::<4>();
    for (loads, weights) in fours.iter_mut().zip(weights) {
        // SAFETY: both are four numbers of 32 bits, and neither load nor store needs alignment.
        unsafe {
            v128_store(
                loads.as_mut_ptr().cast(),
                keys(v128_load(loads.as_ptr().cast()), v128_load(weights.as_ptr().cast())),
            )
        };
    }
    for (load, weight) in rest.iter_mut().zip(rest_weights) {
        *load = u32x4_extract_lane::<0>(keys(u32x4_splat(*load), f32x4_splat(*weight)));
    }
}

/// 0 where the load is 0, else the bits of (load + 1) / weight.
#[target_feature(enable = "simd128")]
fn keys(loads: v128, weights: v128) -> v128 {
    let ones = u32x4_splat(1);
    let more = i32x4_add(u32x4_min(loads, u32x4_splat(u32::MAX - 1)), ones);
    v128_andnot(f32x4_div(f32x4_convert_u32x4(more), weights), u32x4_eq(loads, u32x4_splat(0)))
}

/// The lowest key; the highest number where there is none.
#[target_feature(enable = "simd128")]
pub(super) fn lowest(keys: &[u32]) -> u32 {
    let (sixteens, rest) = keys.as_chunks::<16>();
    let [mut a, mut b, mut c, mut d] = [u32x4_splat(u32::MAX); 4];
    for keys in sixteens {
        let [e, f, g, h] = four(keys);
        (a, b, c, d) = (u32x4_min(a, e), u32x4_min(b, f), u32x4_min(c, g), u32x4_min(d, h));
    }
    let lowest = lanes(u32x4_min(u32x4_min(a, b), u32x4_min(c, d)));
    lowest.iter().chain(rest).fold(u32::MAX, |lowest, key| lowest.min(*key))
}

/// How many keys are `lowest`.
#[target_feature(enable = "simd128")]
pub(super) fn ties(keys: &[u32], lowest: u32) -> u32 {
    let (sixteens, rest) = keys.as_chunks::<16>();
    let (lowest_four, mut sum) = (u32x4_splat(lowest), u32x4_splat(0));
    for keys in sixteens {
        // A comparison gives -1 where it holds.
        let [a, b, c, d] = four(keys).map(|keys| i32x4_eq(keys, lowest_four));
        sum = i32x4_sub(sum, i32x4_add(i32x4_add(a, b), i32x4_add(c, d)));
    }
    lanes(sum).iter().sum::<u32>() + rest.iter().map(|key| u32::from(*key == lowest)).sum::<u32>()
}
