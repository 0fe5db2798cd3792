
{
  // Quasar's few own icons as paths, so that no icon font is loaded.
  const paths = {
    arrow_drop_down: "M7 10l5 5 5-5z",
    close: "M19 6.4 17.6 5 12 10.6 6.4 5 5 6.4 10.6 12 5 17.6 6.4 19 12 13.4 17.6 19 19 17.6 13.4 12z",
    check: "M9 16.2 4.8 12l-1.4 1.4L9 19 21 7l-1.4-1.4z",
    warning: "M1 21h22L12 2 1 21zm12-3h-2v-2h2v2zm0-4h-2v-4h2v4z",
    error: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm1 15h-2v-2h2v2zm0-4h-2V7h2v6z",
    check_circle: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-2 15-5-5 1.4-1.4L10 14.2l7.6-7.6L19 8l-9 9z",
    arrow_upward: "M4 12l1.4 1.4L11 7.8V20h2V7.8l5.6 5.6L20 12l-8-8-8 8z",
    chevron_left: "M15.4 7.4 14 6l-6 6 6 6 1.4-1.4L10.8 12z",
    chevron_right: "M10 6 8.6 7.4 13.2 12l-4.6 4.6L10 18l6-6z",
    first_page: "M18.4 16.6 13.8 12l4.6-4.6L17 6l-6 6 6 6zM6 6h2v12H6z",
    last_page: "M5.6 7.4 10.2 12l-4.6 4.6L7 18l6-6-6-6zM16 6h2v12h-2z",
    keyboard_arrow_down: "M7.4 8.6 12 13.2l4.6-4.6L18 10l-6 6-6-6z",
  };
  paths.cancel = paths.close;
  paths.clear = paths.close;
  paths.info = paths.error;
  paths.priority_high = paths.error;
  app.config.globalProperties.$q.iconMapFn = (name) => (paths[name] ? { icon: `${paths[name]}|0 0 24 24` } : undefined);
  const theme = localStorage.getItem("nni-theme");
  if (theme) setDark(theme === "dark");
}
