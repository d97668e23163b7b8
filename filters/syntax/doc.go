// Package syntax reads the text of a filter: [Parse] makes a tree of it, [Print]
// makes text of the tree again. What names mean, which types fit, and what a
// constant is worth is the business of package filters.
//
// Positions are bytes from the start of the text.
package syntax
