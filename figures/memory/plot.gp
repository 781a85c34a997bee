# SPDX-License-Identifier: GPL-2.0
set style data histograms
set style histogram clustered gap 1
set yrange [0:*]
set xlabel "footprint of the program"
set ylabel "page tables, percent of the footprint"
plot table index 0 using 2:xtic(1) lc rgb stock title "none", "" index 0 using 3 lc rgb third title "2 replicas", "" index 0 using 4 lc rgb mitosis title "4 replicas", "" index 0 using 5 lc rgb fourth title "8 replicas"
