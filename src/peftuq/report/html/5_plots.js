// -- plots: the plotting library comes out of its block when a plot first comes into view -----------------

const COLOURS = ["#0072b2", "#c04a00", "#00795a", "#a3195b", "#6b5900", "#56309c", "#4d4d4d", "#7a2e00"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const look = (place) => ({ color: COLOURS[place % COLOURS.length], dash: DASHES[place % DASHES.length] });

let loaded = null;
const plotting = () => (loaded ??= text(index.plotting).then((source) => {
  document.head.append(h("script", {}, source));
  return window.Plotly;
}));

/** A figure with its caption and the numbers behind it as a table. `onpoint` gets the `customdata` of a point. */
function figure(title, caption, traces, axes, numbers, onpoint = null) {
  const place = h("div", { class: "plot", role: "img", "aria-label": `${title}. ${caption}` });
  const axis = (given) => ({ automargin: true, zeroline: false, gridcolor: "#ddd", linecolor: "#444", ...given });
  const layout = {
    font: { family: "system-ui, sans-serif", size: 13, color: "#1a1a1a" }, height: 420, margin: { t: 12, r: 12, b: 48, l: 56 },
    xaxis: axis(axes.x), yaxis: axis(axes.y), legend: { orientation: "h", y: -0.3 }, hovermode: "closest", ...axes.layout,
  };
  new IntersectionObserver(async ([{ isIntersecting }], observer) => {
    if (!isIntersecting) return;
    observer.disconnect();
    const Plotly = await plotting();
    await Plotly.newPlot(place, traces, layout, { responsive: true, displayModeBar: false });
    if (onpoint) place.on("plotly_click", ({ points }) => points[0].customdata !== undefined && onpoint(points[0].customdata));
    place.dataset.drawn = "yes";
  }).observe(place);
  return h("figure", {}, h("h3", {}, title), place, h("figcaption", {}, caption),
    h("details", {}, h("summary", {}, "Numbers of this figure"), numbers));
}
