// The growth lemma for a matrix that the reader edits: everything is computed here, in the page.
"use strict";
const NEAR = 1e-9; // eigenvalues this close, relative to the largest, are one; as in poc_book.balanced
const LARGEST = 100; // of the entries: beyond, the curve is over before its second point

const identity = (n) => Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => Number(i === j)));
const times = (A, B) => A.map((row) => B[0].map((_, j) => row.reduce((sum, a, k) => sum + a * B[k][j], 0)));
const scaled = (A, by) => A.map((row) => row.map((a) => a * by));
const plus = (A, B) => A.map((row, i) => row.map((a, j) => a + B[i][j]));
const columns = (A) => A[0].map((_, j) => A.reduce((sum, row) => sum + Math.abs(row[j]), 0));
const oneNorm = (A) => Math.max(...columns(A));

// exp(A): the series of a small part of A, squared again and again.
function exponential(A) {
  const squarings = Math.max(0, Math.ceil(Math.log2(oneNorm(A) || 1)) + 3), part = scaled(A, 2 ** -squarings);
  let term = identity(A.length), sum = term;
  for (let k = 1; k <= 14; k++) { // at a norm of 1/8 the next term is below rounding
    term = scaled(times(term, part), 1 / k);
    sum = plus(sum, term);
  }
  for (let i = 0; i < squarings; i++) sum = times(sum, sum);
  return sum;
}

// Eigenvalues of a symmetric matrix and its eigenvectors, the columns of V, by Jacobi's rotations.
function eigensystem(H) {
  const n = H.length;
  let A = H, V = identity(n);
  for (let sweep = 0; sweep < 12; sweep++) // they converge quadratically
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        const angle = Math.atan2(2 * A[p][q], A[q][q] - A[p][p]) / 2, G = identity(n), back = identity(n);
        [G[p][p], G[p][q], G[q][p], G[q][q]] = [Math.cos(angle), Math.sin(angle), -Math.sin(angle), Math.cos(angle)];
        [back[p][p], back[p][q], back[q][p], back[q][q]] = [G[p][p], G[q][p], G[p][q], G[q][q]];
        A = times(back, times(A, G));
        V = times(V, G);
      }
  return { values: A.map((row, i) => row[i]), V };
}

// Distinct eigenvalues, increasing, and the sum of the norms of their projectors: the lemma's bound.
function balance({ values, V }) {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]), near = NEAR * Math.max(...values.map(Math.abs));
  const distinct = [], projectors = [];
  for (const i of order) {
    const P = V.map((a) => V.map((b) => a[i] * b[i]));
    if (distinct.length && values[i] - values[order[order.indexOf(i) - 1]] <= near) projectors.push(plus(projectors.pop(), P));
    else distinct.push(values[i]), projectors.push(P);
  }
  return { distinct, bound: projectors.reduce((sum, P) => sum + oneNorm(P), 0) };
}

// The worst growth of the 1-norm at each of equally spaced times, from 0 on; null once it is beyond all numbers.
function worstGrowth(H, spaced) {
  const step = exponential(scaled(H, -spaced[1]));
  let now = identity(H.length);
  return spaced.map((_, i) => {
    if (i) now = times(now, step);
    return Number.isFinite(oneNorm(now)) ? oneNorm(now) : null;
  });
}

// The matrix in the fields, or a sentence that says what is wrong with which of them.
function matrixIn(fields) {
  for (const [i, row] of fields.entries())
    for (const [j, field] of row.entries()) {
      const text = field.value.trim(), good = text !== "" && Math.abs(Number(text)) <= LARGEST;
      field.setAttribute("aria-invalid", !good);
      if (!good) return `Row ${i + 1}, column ${j + 1} is ${text ? `“${text}”` : "empty"}: a number from −${LARGEST} to ${LARGEST} is needed.`;
    }
  return fields.map((row) => row.map((field) => Number(field.value)));
}

function edit(place) {
  const { about, cases, matrix } = JSON.parse(place.querySelector("script").textContent), x = cases[0].x;
  const label = (i, j) => `H, row ${i + 1}, column ${j + 1}`;
  const fields = matrix.map((row, i) => row.map((v, j) => element("input", { inputmode: "decimal", size: 5, "aria-label": label(i, j), value: v })));
  place.append(element("div", { class: "matrix", role: "group", "aria-label": "the matrix H", style: `--size: ${matrix.length}` }, ...fields.flat()));
  const show = chart(about, place);

  function draw() {
    const H = matrixIn(fields);
    if (typeof H === "string") return show(null, H);
    const growth = worstGrowth(H, x), symmetric = H.every((row, i) => row.every((v, j) => v === H[j][i]));
    if (!symmetric) return show({ x, curves: { growth } }, "H is not symmetric: the lemma says nothing of it. ");
    const { distinct, bound } = balance(eigensystem(H)), positive = distinct[0] >= -NEAR * Math.max(...distinct.map(Math.abs));
    const said = `Eigenvalues ${distinct.map((v) => short(Math.abs(v) < NEAR ? 0 : v)).join(", ")}: `;
    if (!positive) return show({ x, curves: { growth } }, `${said}one is negative, and the lemma says nothing of such H. `);
    return show({ x, curves: { growth, bound: x.map(() => bound) } }, `${said}H is symmetric and none is negative, so the lemma holds. `);
  }
  for (const field of fields.flat()) field.addEventListener("input", draw);
  draw();
  place.hidden = false;
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".explorer[data-edit]").forEach(edit));
