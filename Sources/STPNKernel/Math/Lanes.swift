import CPlatform

/// a·b + c
@_transparent
func fma<V: SIMD>(_ a: V, _ b: V, _ c: V) -> V where V.Scalar: Real, V.Scalar.Lanes == V { V.Scalar.fma(a, b, c) }

@_transparent
func fma<V: SIMD>(_ a: V, _ b: V.Scalar, _ c: V) -> V where V.Scalar: Real, V.Scalar.Lanes == V {
    V.Scalar.fma(a, V(repeating: b), c)
}

/// |v|, and NaN where v is NaN.
@inline(__always)
func absolute<T: Real>(_ v: T.Lanes, _: T.Type) -> T.Lanes {
    T.select(v, lessThan: .zero, -v, else: v)
}

extension UnsafePointer {
    /// Asks for the cache lines of `count` elements from element `offset` on, which need not be there.
    @inline(__always)
    func prefetch(_ offset: Int, _ count: Int) {
        let size = MemoryLayout<Pointee>.stride
        let first = UInt(bitPattern: self) &+ UInt(bitPattern: offset &* size)
        var byte: UInt = 0
        while byte < UInt(bitPattern: count &* size) {
            stpn_platform_prefetch(UnsafeRawPointer(bitPattern: first &+ byte))
            byte &+= 64
        }
    }
}

extension UnsafePointer where Pointee: Real {
    /// The vector that begins at element `offset`.
    @inline(__always)
    func lanes(_ offset: Int) -> Pointee.Lanes {
        UnsafeRawPointer(self + offset).loadUnaligned(as: Pointee.Lanes.self)
    }
}

extension UnsafeMutablePointer where Pointee: Real {
    @inline(__always)
    func lanes(_ offset: Int) -> Pointee.Lanes {
        UnsafeRawPointer(self + offset).loadUnaligned(as: Pointee.Lanes.self)
    }

    @inline(__always)
    func store(_ vector: Pointee.Lanes, _ offset: Int) {
        UnsafeMutableRawPointer(self + offset).storeBytes(of: vector, as: Pointee.Lanes.self)
    }

    /// Writes 0 to the first `count` elements.
    @inline(__always)
    func zero(_ count: Int) {
        fill(Pointee.zero, count)
    }

    @inline(__always)
    func fill(_ value: Pointee, _ count: Int) {
        let vector = Pointee.Lanes(repeating: value)
        let width = Pointee.Lanes.scalarCount
        var i = 0
        while i &+ width <= count {
            store(vector, i)
            i &+= width
        }
        while i < count {
            self[i] = value
            i &+= 1
        }
    }

    /// Copies the first `count` elements of a buffer that does not overlap this one. Written out because Embedded Swift
    /// copies element by element.
    @inline(__always)
    func copy(_ source: UnsafePointer<Pointee>, _ count: Int) {
        let width = Pointee.Lanes.scalarCount
        var i = 0
        while i &+ width <= count {
            store(source.lanes(i), i)
            i &+= width
        }
        while i < count {
            self[i] = source[i]
            i &+= 1
        }
    }

    /// As `copy`, every element times a factor.
    @inline(__always)
    func copy(_ source: UnsafePointer<Pointee>, _ count: Int, times factor: Pointee) {
        let width = Pointee.Lanes.scalarCount
        var i = 0
        while i &+ width <= count {
            store(source.lanes(i) * factor, i)
            i &+= width
        }
        while i < count {
            self[i] = source[i] * factor
            i &+= 1
        }
    }

    /// Adds the elements of a buffer that does not overlap this one.
    @inline(__always)
    func add(_ source: UnsafePointer<Pointee>, _ count: Int) {
        let width = Pointee.Lanes.scalarCount
        var i = 0
        while i &+ width <= count {
            store(lanes(i) + source.lanes(i), i)
            i &+= width
        }
        while i < count {
            self[i] += source[i]
            i &+= 1
        }
    }

    /// Multiplies the first `count` elements, which may be fewer than a vector.
    func scale(_ factor: Pointee, _ count: Int) {
        copy(self, count, times: factor)
    }

    /// Adds `width` elements times a factor; rows of the fast kernel.
    @inline(__always)
    func add(_ source: UnsafePointer<Pointee>, times factor: Pointee, width: Int) {
        var i = 0
        while i < width {
            store(fma(source.lanes(i), factor, lanes(i)), i)
            i &+= Pointee.Lanes.scalarCount
        }
    }

    /// Multiplies `width` elements by others; rows of the fast kernel.
    func multiply(_ factors: UnsafePointer<Pointee>, width: Int) {
        var i = 0
        while i < width {
            store(lanes(i) * factors.lanes(i), i)
            i &+= Pointee.Lanes.scalarCount
        }
    }

    /// The sum of `width` elements of a row of the fast kernel.
    func sum(_ width: Int) -> Pointee {
        var sum = Pointee.Lanes.zero
        var i = 0
        while i < width {
            sum += lanes(i)
            i &+= Pointee.Lanes.scalarCount
        }
        return horizontalSum(sum, Pointee.self)
    }

    /// The sum of products of `width` elements of two rows of the fast kernel.
    @inline(__always)
    func dot(_ other: UnsafePointer<Pointee>, _ width: Int) -> Pointee {
        var sum = Pointee.Lanes.zero
        var i = 0
        while i < width {
            sum = fma(lanes(i), other.lanes(i), sum)
            i &+= Pointee.Lanes.scalarCount
        }
        return horizontalSum(sum, Pointee.self)
    }

    /// Writes the sum of each vector, `stride` apart.
    @inline(__always)
    func storeSums<let N: Int>(_ vectors: InlineArray<N, Pointee.Lanes>, stride: Int) {
        if N == 4 {
            let sums = Pointee.horizontalSums(vectors[0], vectors[1], vectors[2], vectors[3])
            for i in 0..<4 { self[i &* stride] = sums[i] }
        } else {
            for i in 0..<N { self[i &* stride] = horizontalSum(vectors[i], Pointee.self) }
        }
    }

    /// Gives each of the first `count` elements the sum of all.
    func spreadSum(_ count: Int) {
        var sum: Pointee = 0
        for i in 0..<count { sum += self[i] }
        fill(sum, count)
    }

    /// Copies rows of `columns` elements each into rows of `width`, zeros where there are none.
    func copyRows(_ source: UnsafePointer<Pointee>?, rows: Int, columns: Int, width: Int) {
        for j in 0..<rows {
            let row = self + j * width
            if let source { row.copyPadded(source + j * columns, columns, width) } else { row.zero(width) }
        }
    }

    /// Zeros from element `count` up to `width`, in stores of whole vectors: a vector that is loaded soon after it was stored in
    /// pieces is waited for.
    func clearPadding(_ count: Int, _ width: Int) {
        var i = count / Pointee.Lanes.scalarCount * Pointee.Lanes.scalarCount
        while i < width {
            store(onlyBelow(lanes(i), count &- i, Pointee.self), i)
            i &+= Pointee.Lanes.scalarCount
        }
    }

    /// As `copy`, and zeros up to `width`: a row of the caller's becomes a row of the fast kernel's.
    @inline(__always)
    func copyPadded(_ source: UnsafePointer<Pointee>, _ count: Int, _ width: Int) {
        copy(source, count)
        (self + count).zero(width &- count)
    }
}

/// How far apart the matrices of two samples lie: not a multiple of the page size, with which rows of the samples of a block
/// would compete for the same lines of the cache.
func sampleStride<T: Real>(rows: Int, width: Int, _: T.Type) -> Int {
    let count = rows * width
    return count * MemoryLayout<T>.size % 4096 == 0 ? count + T.rowUnit : count
}

/// The smallest multiple of 64 bytes that holds `count` numbers of the type.
@inline(__always)
func padded<T: Real>(_ count: Int, _: T.Type) -> Int {
    (count &+ T.rowUnit &- 1) / T.rowUnit &* T.rowUnit
}

@inline(__always)
func horizontalSum<T: Real>(_ v: T.Lanes, _: T.Type) -> T {
    let q = T.quarterSums(v)
    return (q[0] + q[1]) + (q[2] + q[3])
}

/// The first `count` elements of a vector, and zeros.
@inline(__always)
func onlyBelow<T: Real>(_ v: T.Lanes, _ count: Int, _: T.Type) -> T.Lanes {
    var indices = T.Lanes.zero
    for i in 0..<T.Lanes.scalarCount { indices[i] = T(i) }
    return T.select(indices, lessThan: T.Lanes(repeating: T(count)), v, else: .zero)
}
