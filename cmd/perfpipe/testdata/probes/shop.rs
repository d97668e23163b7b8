mod shop {
    pub struct Order { pub id: u64, pub count: i32 }
    impl Order {
        #[inline(never)]
        pub fn add(&mut self, n: i32) -> i32 { self.count += std::hint::black_box(n); self.count }
    }
    #[inline(never)]
    pub fn twice<T: std::ops::Add<Output = T> + Copy>(v: T) -> T { std::hint::black_box(v + v) }
    #[inline(never)]
    pub fn area(a: i32, b: u8) -> i32 { std::hint::black_box(a * b as i32) }
}
fn main() {
    let mut o = shop::Order { id: 41, count: 7 };
    o.add(5);
    std::hint::black_box(shop::twice(3i32));
    std::hint::black_box(shop::twice(4u64));
    std::hint::black_box(shop::area(-6, 7));
}
