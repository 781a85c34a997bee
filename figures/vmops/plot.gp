# SPDX-License-Identifier: GPL-2.0
set style data histograms
set style histogram clustered gap 1
set yrange [0:*]
set ylabel "cycles over those of none"
set xtics rotate by -30
plot table index 0 using 3:xtic(1) lc rgb third title "2 replicas", "" index 0 using 4 lc rgb mitosis title "4 replicas", "" index 0 using 5 lc rgb fourth title "8 replicas", "" index 0 using 6 lc rgb published title "published, 4 replicas"
